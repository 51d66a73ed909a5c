"""Pack an array that does not fit into memory: Dask cuts it into chunks, and each worker encodes its own.

    python tools/pack_with_dask.py OUT.zarr --gib 4 --memory 1GiB

The source here is made up, chunk by chunk; put `dask.array.from_zarr`, or anything else of Dask's whose chunks are
made or opened by the workers, in its place. An open file does not travel to another process: `from_array` of a
`TensorView` or of an HDF5 dataset is for Dask's threads. The codec travels by its name: workers on other machines
need the package, and nothing else.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import zarr
from dask.distributed import Client, LocalCluster

from bfpemu import BFPTensor
from bfpemu.storage.zarr import BfpCodec

COLUMNS = 4096
ROWS_OF_CHUNK = 256


def source(rows: int) -> da.Array:
    """Return an array of numbers of many sizes, of which nothing is there until a worker makes a chunk."""
    down = da.arange(rows, chunks=ROWS_OF_CHUNK, dtype=np.float32)[:, None]
    across = da.arange(COLUMNS, chunks=COLUMNS, dtype=np.float32)[None, :]
    return (down - np.float32(100)) * (across - np.float32(COLUMNS / 2)) * np.float32(2.0**-20)


def written(chunk: npt.NDArray[np.float32], path: str, block_info: dict[Any, Any]) -> npt.NDArray[np.bool_]:
    """Write a chunk where it belongs."""
    place = tuple(slice(first, last) for first, last in block_info[0]["array-location"])
    zarr.open_array(path, mode="r+")[place] = chunk
    return np.ones((1,) * chunk.ndim, np.bool_)


def pack(array: da.Array, path: str, format: str) -> zarr.Array:
    """Write the array with the codec, one Zarr chunk for each of Dask's, and a checksum behind each.

    Dask fuses what makes a chunk with what writes it, so that a worker holds one chunk at a time. The chunks of
    `dask.array.to_zarr` are the same; it makes many before it writes them.
    """
    target = zarr.create_array(
        path,
        shape=array.shape,
        chunks=array.chunksize,
        dtype=array.dtype,
        serializer=BfpCodec(format),
        compressors=[zarr.codecs.Crc32cCodec()],
        overwrite=True,
    )
    meta = np.empty((0,) * array.ndim, np.bool_)
    chunks = tuple((1,) * len(sizes) for sizes in array.chunks)
    assert array.map_blocks(written, path, dtype=np.bool_, chunks=chunks, meta=meta).all().compute()
    return target


def differences(array: da.Array, path: str, format: str) -> int:
    """Count the elements that differ from encoding each chunk here, read again by the workers."""

    def rounded(chunk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return BFPTensor(chunk, format, threads=1).dequantize(threads=1)

    found = da.from_zarr(path, chunks=array.chunks)
    return int((found != array.map_blocks(rounded, meta=array._meta)).sum().compute())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", metavar="OUT.zarr")
    parser.add_argument("--format", default="bfp8")
    parser.add_argument("--gib", type=float, default=4, help="size of the array as float32")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--memory", default="1GiB", help="limit of each process; Dask ends one that exceeds it")
    options = parser.parse_args()
    rows = int(options.gib * 2**30) // (4 * COLUMNS * ROWS_OF_CHUNK) * ROWS_OF_CHUNK
    cluster = LocalCluster(
        n_workers=options.workers, threads_per_worker=1, memory_limit=options.memory, dashboard_address=None
    )
    with cluster, Client(cluster):
        array = source(rows)
        start = time.perf_counter()
        target = pack(array, options.path, options.format)
        seconds = time.perf_counter() - start
        print(
            f"{array.nbytes:,} bytes of float32 to {target.nbytes_stored():,} bytes in {seconds:.1f} s, "
            f"{options.workers} processes of at most {options.memory}"
        )
        print(f"{differences(array, options.path, options.format)} elements differ from what one process encodes")


if __name__ == "__main__":
    main()
