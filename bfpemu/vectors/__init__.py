"""Sets of stimulus and expected words for hardware, and the comparison with what a device gave (spec 12).

The modules here say what a set is about, its words, and what they answer. Above them are packages, each of which may
import from those after it:

`verify`
    What a device gave, judged against a set.
`sets`
    Plans of every unit, directed vectors, and sets on the disk.
`operands`, `dot`
    Bins and stimulus of units that compute.
`encode`, `decode`
    Bins and stimulus of these two.
`blocks`
    What all of them share: bins as data, facts of blocks, what can occur in a format, codes as stimulus.
"""
