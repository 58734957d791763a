"""The rules of leases, pure: values in, values out; no I/O, no clock, no threads."""
