"""What the adapters of all frameworks share, told once and without any of the frameworks (spec 14).

* `configuration`: what a layer quantises, and how, as one value; `text` has formats and units as graphs and files
  hold them.
* `seeds`: which formats draw random words; `shards`: what a divided array must be like.
* `conversion`: which layers of a model are converted, and the report of it.
* `packed`: which weights a file may keep as codes.
* `emulated`: products through an emulated unit, on NumPy arrays. It brings the compiled kernels along, so adapters
  load it when a layer has a unit.
"""
