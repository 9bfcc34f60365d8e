"""The instruction sets that were built and this processor supports. Compiled for the oldest of them."""

cdef extern from "common/cpu.h":
    int pn_x86_level() nogil
    int pn_has_amx() nogil

cdef extern from *:
    """
    #ifdef PN_X86_LEVELS
    static const int pn_x86_levels = 1;
    #else
    static const int pn_x86_levels = 0;
    #endif
    """
    const bint pn_x86_levels


def supported():
    """Return the usable instruction sets, best first; "generic" alone if only one was built."""
    if not pn_x86_levels:
        return ("generic",)
    cdef int level = pn_x86_level()
    sets = tuple(f"x86-64-v{built}" for built in (4, 3, 2) if built <= level)
    return ("x86-64-v4-amx", *sets) if pn_has_amx() else sets
