"""Compiled loops over integers and arrays; they know no format objects and never raise.

`parameters` names the plain integers that kernels take; `rounding` is the one funnel;
`encode` and `decode` do everything the number model can say, on 64-bit integers;
`lanes` does the common cases in narrow lanes; `pack` moves codes to and from bits.
"""
