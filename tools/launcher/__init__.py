"""The launcher: everything outside the hypervisor that a person touches."""
