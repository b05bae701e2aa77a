#!/bin/sh
# Install the system libraries that drawing needs, or name them. Asked for "xvfb", a virtual display too.
# Only Debian and Ubuntu are installed on; elsewhere nothing is touched and what is missing is named.
set -u

[ "$(uname -s)" = Linux ] || exit 0

has() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

missing=""
want() { missing="$missing $1"; }

has libEGL.so.1 || want libegl1
has libGL.so.1 || want libgl1
has libGLESv2.so.2 || want libgles2
if ! has libEGL_nvidia.so.0; then
    has libEGL_mesa.so.0 || want libegl-mesa0
    has libGLX_mesa.so.0 || want libglx-mesa0
    ls /usr/lib/*/dri/swrast_dri.so /usr/lib/*/libgallium*.so 2>/dev/null | grep -q . || want libgl1-mesa-dri
fi
python3 -c 'import ensurepip' >/dev/null 2>&1 || want python3-venv
for wanted in "$@"; do
    if [ "$wanted" = xvfb ]; then
        command -v Xvfb >/dev/null 2>&1 || want xvfb
        command -v xdotool >/dev/null 2>&1 || want xdotool
        command -v jackd >/dev/null 2>&1 || want jackd2 # virtual MIDI ports
    fi
done

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing libraries, by their Debian names:$missing. Install what your system calls them." >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "Missing system packages. Run:  sudo apt-get install --no-install-recommends$missing" >&2
    echo "Going on without them; what needs them will say so." >&2
    exit 0
fi
echo "Installing system packages:$missing"
$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
