"use strict";
// Before the first paint: the theme chosen last, else the system's.
{
  const chosen = localStorage.getItem("sos-theme");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen ?? (dark ? "dark" : "light");
}
