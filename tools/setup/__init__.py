"""Sets up this computer for Mote: Python packages, npm packages, Debian packages, MicroPython."""
