"""Adapters that come and go while a show runs: found in folders, auditioned, hung between two frames, locked.

`dresser` is a process of its own that watches and checks, `auditor` another one, which auditions for it in
idle time. `live` belongs to the present process: it hands what passed to the render process and lets the
parameter tree grow.
"""
