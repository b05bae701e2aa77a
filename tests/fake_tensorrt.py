"""TensorRT played by onnxruntime on the host, for the lines of ours around it. A plan is the graph itself.

Which names exist, and with which arguments, is checked elsewhere against NVIDIA's bindings. What this cannot
show: that TensorRT reads the graph, that it fits the GPU, and how fast it is.
"""

from __future__ import annotations

import ctypes
import pickle
from enum import Enum, IntEnum
from types import SimpleNamespace

import numpy as np

KINDS = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT"}
NUMPY = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class _Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class _Logger:
    Severity = _Severity

    def __init__(self):
        pass


class _Monitor:
    def __init__(self):
        pass


class FakeTensorrt(SimpleNamespace):
    """A module `tensorrt` of the given version. `refuse` names what is to fail: parse, profile, build,
    load, context, shapes, run; `do` puts work on the played CUDA runtime, so that it can be captured."""

    def __init__(self, version="11.4.0.106", do=None):
        self.__dict__.update(
            __version__=version,
            ILogger=_Logger,
            IProgressMonitor=_Monitor,
            TensorIOMode=Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"]),
            DataType=Enum("DataType", ["FLOAT", "UINT8"]),
            MemoryPoolType=Enum("MemoryPoolType", ["WORKSPACE"]),
            ProfilingVerbosity=Enum("ProfilingVerbosity", ["DETAILED"]),
            BuilderFlag=Enum("BuilderFlag", ["TF32"]),
            HardwareCompatibilityLevel=Enum("HardwareCompatibilityLevel", ["NONE", "AMPERE_PLUS"]),
            NetworkDefinitionCreationFlag=IntEnum(
                "NetworkDefinitionCreationFlag", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}
            ),
            refuse=set(),
            do=do or (lambda work: work()),
            configs=[],
            flags=[],
            Builder=lambda logger: _Builder(self, logger),
            OnnxParser=lambda network, logger: _Parser(self, network, logger),
            Runtime=lambda logger: _Runtime(self, logger),
        )


class _Session:
    """A graph that onnxruntime runs."""

    def __init__(self, graph):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.inputs = {one.name: one for one in self.session.get_inputs()}
        self.outputs = {one.name: one for one in self.session.get_outputs()}


def _tensor(one):
    shape = tuple(size if isinstance(size, int) else -1 for size in one.shape)
    return SimpleNamespace(name=one.name, shape=shape)


class _Parser:
    def __init__(self, trt, network, logger):
        self._trt, self._network, self._logger = trt, network, logger
        self.num_errors = 0

    def parse(self, graph):
        if "parse" in self._trt.refuse:
            self.num_errors = 1
            return False
        session = _Session(graph)
        self._network.graph = graph
        self._network.inputs = [_tensor(one) for one in session.inputs.values()]
        self._network.outputs = [_tensor(one) for one in session.outputs.values()]
        return True

    def get_error(self, index):
        return SimpleNamespace(desc=lambda: "only activation types allowed as input to this layer")


class _Network:
    graph = b""

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))

    def get_input(self, index):
        return self.inputs[index]

    def get_output(self, index):
        return self.outputs[index]


class _Config:
    def __init__(self):
        self.profiles, self.cleared, self.pools = [], [], {}
        self.hardware_compatibility_level = None
        self.cache = None

    def set_memory_pool_limit(self, pool, size):
        self.pools[pool.name] = size

    def clear_flag(self, flag):
        self.cleared.append(flag.name)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile.shapes)
        return len(self.profiles) - 1

    def create_timing_cache(self, kept):
        if kept.startswith(b"broken"):
            return None
        return SimpleNamespace(serialize=lambda: b"timed " + kept, kept=kept)

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache.kept.startswith(b"foreign"):  # of another GPU
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class _Profile:
    def __init__(self, trt):
        self._trt, self.shapes = trt, {}

    def set_shape(self, name, least, likely, most):
        if "profile" in self._trt.refuse:
            raise ValueError("the shape is not consistent")
        assert least == likely == most, "a profile of ours is for one shape"
        self.shapes[name] = most


class _Builder:
    def __init__(self, trt, logger):
        self._trt, self._logger = trt, logger

    def create_network(self, flags=0):
        self._trt.flags.append(flags)
        return _Network()

    def create_builder_config(self):
        self._trt.configs.append(_Config())
        return self._trt.configs[-1]

    def create_optimization_profile(self):
        return _Profile(self._trt)

    def build_serialized_network(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 4)
        for step in range(4):
            monitor.phase_start("Timing", "Building", 2)
            going = monitor.step_complete("Timing", 0) and monitor.step_complete("Building", step)
            monitor.phase_finish("Timing")
            if not going:
                return None
        monitor.phase_finish("Building")
        if "build" in self._trt.refuse:
            self._logger.log(_Severity.ERROR, "no tactic was found")
            return None
        return pickle.dumps((network.graph, config.profiles))


class _Runtime:
    def __init__(self, trt, logger):
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, plan):
        if "load" in self._trt.refuse:
            self._logger.log(_Severity.ERROR, "the plan is of another version")
            return None
        return _Engine(self._trt, *pickle.loads(plan))


class _Engine:
    def __init__(self, trt, graph, profiles):
        self._trt, self.graph, self.profiles = trt, _Session(graph), profiles
        self.tensors = {**self.graph.inputs, **self.graph.outputs}

    num_io_tensors = property(lambda self: len(self.tensors))
    num_optimization_profiles = property(lambda self: len(self.profiles))

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        return self._trt.TensorIOMode["INPUT" if name in self.graph.inputs else "OUTPUT"]

    def get_tensor_dtype(self, name):
        return self._trt.DataType[KINDS[self.tensors[name].type]]

    def create_execution_context(self):
        return None if "context" in self._trt.refuse else _Context(self._trt, self)


class _Context:
    def __init__(self, trt, engine):
        self._trt, self._engine = trt, engine
        self.shapes, self.addresses, self.profile = {}, {}, -1

    def set_optimization_profile_async(self, index, stream):
        self.profile = index
        return True

    def set_input_shape(self, name, shape):
        self.shapes[name] = shape
        return self._engine.profiles[self.profile].get(name, shape) == shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def infer_shapes(self):
        if "shapes" in self._trt.refuse:
            raise RuntimeError("shapes cannot be inferred")
        return [name for name in self._engine.tensors if name not in self.addresses]

    def execute_async_v3(self, stream):
        if "run" in self._trt.refuse:
            return False
        self._trt.do(self._run)
        return True

    def _run(self):
        graph = self._engine.graph
        given = {
            name: self._memory(name, NUMPY[one.type], self.shapes[name]) for name, one in graph.inputs.items()
        }
        for (name, one), made in zip(graph.outputs.items(), graph.session.run(None, given), strict=True):
            self._memory(name, NUMPY[one.type], made.shape)[...] = made

    def _memory(self, name, kind, shape):
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        memory = (ctypes.c_uint8 * count).from_address(self.addresses[name])
        return np.frombuffer(memory, kind).reshape(shape)
