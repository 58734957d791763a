def sections(results): return {}
