"""Group of processes that answer for all of them, for `metrics.integrations.processes`.

Each member publishes its values in a file of its own. A reader in any member has the others publish
again, and reads all files under a shared lock. Modules, from the bottom: `ancestry` finds the group
of a process, `files` is the format, `directory` the protocol of locks, `reading` turns a registry
into columns of numbers, `merging` adds them up, and `building` makes instruments of the sums;
`refreshing` has the requests between members, and `member` connects them.
"""
