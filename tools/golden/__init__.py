"""The cases of the golden vectors: inputs made for a reason, answers from `bfpemu.reference`."""
