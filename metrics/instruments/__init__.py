"""What a program updates: one instrument a module, and the reservoirs behind the histograms.

Updates take no lock and do no I/O. They rely on CPython: no other thread runs between statements
that hold no call and no backward jump, so a read-modify-write of a single statement is whole.
"""
