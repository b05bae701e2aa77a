"""Arrays in GPU memory that pass between libraries without a copy: DLPack and __cuda_array_interface__.

Layouts are those of DLPack 0.x (dlpack.h) and of the CUDA Array Interface, version 3.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from vivant.engines.contract import EngineError

CPU: Final = 1  # kDLCPU
CUDA: Final = 2  # kDLCUDA
UNUSED: Final = b"dltensor"
USED: Final = b"used_dltensor"
CODES: Final = {"i": 0, "u": 1, "f": 2}  # DLDataTypeCode by numpy's kind
KINDS: Final = {code: kind for kind, code in CODES.items()}


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("index", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("dimensions", ctypes.c_int32),
        ("type", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)

# An address, not an object: in its destructor a capsule has no references left to count.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", ctypes.pythonapi)
)
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _Destructor)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_raw_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

_lent: dict[int, tuple[Any, ...]] = {}  # what must live until a borrower lets go, by address of its tensor


@dataclass(frozen=True, slots=True)
class View:
    """C-contiguous memory of somebody else: `owner` keeps it alive for as long as the view lives."""

    address: int
    shape: tuple[int, ...]
    dtype: str
    owner: Any  # the array of any library, or what gives a capsule back

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def lend(
    address: int, shape: tuple[int, ...], dtype: str, returned: Callable[[], None], device: int = CUDA
) -> Any:
    """A DLPack capsule of C-contiguous memory. `returned` is called once, when the last borrower lets go."""
    kind = np.dtype(dtype)
    extents = (ctypes.c_int64 * len(shape))(*shape)
    managed = _Managed()
    managed.tensor = _Tensor(
        address,
        _Device(device, 0),
        len(shape),
        _Type(CODES[kind.kind], kind.itemsize * 8, 1),
        ctypes.cast(extents, ctypes.POINTER(ctypes.c_int64)),
        None,
        0,
    )
    managed.deleter = ctypes.cast(_give_back, ctypes.c_void_p).value
    place = ctypes.addressof(managed)
    _lent[place] = (managed, extents, returned)
    return _new_capsule(place, UNUSED, _forget)


def borrow(array: Any, device: int = CUDA) -> View:  # Any: an array of any library
    """The memory of an array of torch, CuPy, PyCUDA or any other library that speaks one of the two
    protocols. What its library is still writing there is not waited for: synchronize it before.
    Raises EngineError for memory elsewhere than on `device` or not C-contiguous."""
    described = getattr(array, "__cuda_array_interface__", None) if device == CUDA else None
    if described is not None:
        return _of_interface(array, described)
    if not hasattr(array, "__dlpack__"):
        raise EngineError(
            f"{type(array).__name__} is no array in GPU memory: it has neither __cuda_array_interface__ nor "
            "__dlpack__. Hand over a torch, CuPy or PyCUDA array, or use run() for numpy."
        )
    if int(array.__dlpack_device__()[0]) != device:
        raise EngineError(
            f"{type(array).__name__} lies in another memory (DLPack device {array.__dlpack_device__()}). "
            "Move it to the GPU first, or use run() for numpy."
        )
    return _of_capsule(array.__dlpack__())


def _of_interface(array: Any, described: dict[str, Any]) -> View:
    shape, kind = tuple(described["shape"]), np.dtype(described["typestr"])
    _refuse_gaps(shape, described.get("strides"), kind.itemsize)
    return View(int(described["data"][0]), shape, kind.name, array)


def _of_capsule(capsule: Any) -> View:
    place = _pointer_of(capsule, UNUSED)
    tensor = _Managed.from_address(place).tensor
    count, code = tensor.dimensions, tensor.type.code
    if code not in KINDS or tensor.type.lanes != 1:
        raise EngineError(
            f"an array of DLPack type {code} with {tensor.type.bits} bits is none that an engine takes. "
            "Convert it to what the engine's specs name."
        )
    kind = np.dtype(f"{KINDS[code]}{tensor.type.bits // 8}")
    shape = tuple(tensor.shape[:count])
    _refuse_gaps(shape, tuple(tensor.strides[:count]) if tensor.strides else None, 1)
    _rename(capsule, USED)  # it is ours now, and its deleter is ours to call
    return View(tensor.data + tensor.offset, shape, kind.name, _Borrowed(place))


class _Borrowed:
    """Gives a tensor back to its lender when nobody needs it any more."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __del__(self) -> None:
        deleter = _Managed.from_address(self._place).deleter
        if deleter:
            _Deleter(deleter)(self._place)


def _refuse_gaps(shape: tuple[int, ...], strides: tuple[int, ...] | None, step: int) -> None:
    """Raises EngineError unless memory is C-contiguous; `step` is the stride of one element."""
    for extent, stride in zip(reversed(shape), reversed(strides or ()), strict=False):
        if extent > 1 and stride != step:
            raise EngineError(
                f"an array of shape {shape} has strides {strides}: an engine takes C-contiguous memory only. "
                "Call .contiguous() (torch) or ascontiguousarray (CuPy) once, before binding it."
            )
        step *= extent


def _back(place: int) -> None:
    *_, returned = _lent.pop(place)
    returned()


def _unused(capsule: int) -> None:
    """A capsule that nobody consumed ends here; a consumed one was renamed and has its deleter called."""
    if _is_valid(capsule, UNUSED):
        _back(_raw_pointer(capsule, UNUSED))


_give_back, _forget = _Deleter(_back), _Destructor(_unused)  # C keeps their addresses: they live for ever
