"""Pure array functions over prices and chains: no actor, no clock, no input or output."""
