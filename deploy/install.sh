#!/bin/sh
# Installs SOS Actors as a systemd service: the program under /opt/sos-actors, its state under /var/lib/sos-actors,
# its settings under /etc/sos-actors. Run it as root, from anywhere, out of a checkout; run it again to update.
# It starts nothing: it ends with what to do next.
set -eu

from=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
to=/opt/sos-actors
python=${PYTHON:-python3}

[ "$(id -u)" = 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }
command -v systemctl >/dev/null || { echo "install.sh: there is no systemd here" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "install.sh: Python 3.11 or newer is needed; name it: PYTHON=/path/to/python3.11 $0" >&2
  exit 1
}

id sos >/dev/null 2>&1 || useradd --system --home-dir /var/lib/sos-actors --shell /usr/sbin/nologin sos
install -d -m 0755 "$to"
for part in run_actors.py requirements.txt sos_actors strategies docs; do
  rm -rf "${to:?}/$part"
  cp -R "$from/$part" "$to/$part"
done
[ -e "$to/config.yaml" ] || cp "$from/config.yaml" "$to/config.yaml"
cmp -s "$from/config.yaml" "$to/config.yaml" || {
  cp "$from/config.yaml" "$to/config.yaml.new"
  echo "kept your $to/config.yaml; the present defaults are beside it in config.yaml.new"
}
"$python" -m venv "$to/.venv"
"$to/.venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$to/requirements.txt"
"$to/.venv/bin/python" -m compileall -q "$to/sos_actors"

install -d -m 0750 -o root -g sos /etc/sos-actors
[ -e /etc/sos-actors/environment ] || install -m 0640 -o root -g sos /dev/stdin /etc/sos-actors/environment <<'SETTINGS'
# What `live` is started with, e.g. --real-money --account AB1234. Empty: paper.
SOS_LIVE_OPTIONS=
# The key of your app at the broker.
SOS_UPSTOX_CLIENT_ID=
SETTINGS
for unit in sos-actors.service sos-actors-login.service sos-actors-login.timer \
  sos-actors-maintenance.service sos-actors-maintenance.timer; do
  install -m 0644 "$from/deploy/$unit" "/etc/systemd/system/$unit"
done
systemctl daemon-reload

cat <<'NEXT'
Installed. Next:
  1. the key of your app into /etc/sos-actors/environment, its secret into /etc/sos-actors/upstox-client-secret (0600)
  2. sudo -u sos SOS_HOME=/var/lib/sos-actors /opt/sos-actors/.venv/bin/python /opt/sos-actors/run_actors.py login
  3. systemctl enable --now sos-actors.service sos-actors-login.timer sos-actors-maintenance.timer
  4. systemctl status sos-actors; journalctl -fu sos-actors
NEXT
