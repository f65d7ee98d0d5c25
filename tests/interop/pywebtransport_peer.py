"""pywebtransport as one end of the echo test (python_peer.py has its command line)."""

import sys

import pywebtransport_sessions as peer
import python_peer

if __name__ == "__main__":
    sys.exit(python_peer.main(peer.VERSION, peer.connect, peer.serve))
