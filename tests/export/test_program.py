"""`Model.export` as a program of `torch.export`: numbers, open sizes, errors, no code of ours."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from torchkeras import Input, InputSpec, Model, Sequential, layers
from torchkeras.export.program import export_torch
from torchkeras.export.signature import get_input_signature, make_input_spec


class TwoInputs(Model):
    def __init__(self):
        super().__init__()
        self.top = layers.Dense(2)

    def call(self, x, y):
        return {"sum": self.top(x + y), "product": x * y}


def sequential():
    stack = [layers.Dense(4, "relu"), layers.BatchNormalization(), layers.Dropout(0.9)]
    return Sequential([Input((3,)), *stack, layers.Dense(2)])


def listed():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    return Model([a, b], [layers.Add()([a, layers.Dense(3)(b)]), layers.Dense(1)(a)])


def keyed():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    return Model({"x": a, "y": b}, layers.Subtract()([a, layers.Dense(3)(b)]))


def recurrent():
    return Sequential([Input((4, 3)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(1)])


def pixels():
    stack = [layers.Conv2D(4, 3, padding="same"), layers.MaxPooling2D()]
    return Sequential([Input((None, None, 3)), *stack, layers.GlobalAveragePooling2D()])


def two_inputs():
    model = TwoInputs()
    model(torch.ones(2, 3), torch.ones(2, 3))
    return model


def loaded(path):
    return torch.export.load(path).module()


def random(*shape):
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype("float32"))


CASES = [
    (sequential, lambda n: (random(n, 3),)),
    (listed, lambda n: ([random(n, 3), random(n, 3) + 1],)),
    (keyed, lambda n: ({"x": random(n, 3), "y": random(n, 3) + 1},)),
    (recurrent, lambda n: (random(n, 4, 3),)),
    (pixels, lambda n: (random(n, 8, 4 + 2 * n, 3),)),
    (two_inputs, lambda n: (random(n, 3), random(n, 3) + 1)),
]


@pytest.mark.parametrize("make, data", CASES)
def test_programs_compute_what_the_model_does_for_any_open_size(make, data, tmp_path):
    model = make()
    model.export(tmp_path / "m.pt2", format="torch", verbose=False)
    program = loaded(tmp_path / "m.pt2")
    for n in (1, 2, 7):
        torch.testing.assert_close(program(*data(n)), model(*data(n)))


def test_a_program_needs_nothing_of_this_library(tmp_path):
    model = sequential()
    model.export(tmp_path / "m.pt2", format="torch", verbose=False)
    code = (
        "import sys; sys.modules['torchkeras'] = None; import torch\n"
        f"program = torch.export.load({str(tmp_path / 'm.pt2')!r}).module()\n"
        "print(program(torch.ones(1, 3)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(eval(done.stdout), model(torch.ones(1, 3)).detach(), rtol=1e-5)


def test_inference_mode_is_for_the_export_alone(tmp_path):
    model = sequential()
    model.train()
    model.layers[2].eval()
    model.export(tmp_path / "m.pt2", format="torch", verbose=False)
    assert [model.training, model.layers[2].training, model.layers[3].training] == [
        True,
        False,
        True,
    ]
    program = loaded(tmp_path / "m.pt2")
    torch.testing.assert_close(program(random(4, 3)), model(random(4, 3), training=False))


def test_a_size_given_in_the_signature_is_fixed(tmp_path):
    model = sequential()
    signature = [InputSpec(shape=(4, 3), dtype="float32")]
    model.export(tmp_path / "m.pt2", "torch", verbose=False, input_signature=signature)
    program = loaded(tmp_path / "m.pt2")
    assert program(random(4, 3)).shape == (4, 2)
    with pytest.raises(AssertionError):
        program(random(5, 3))


def test_a_size_that_cannot_stay_open_is_told(tmp_path):
    class Fixed(Model):
        def call(self, x):
            return x.reshape(2, -1) if x.shape[0] == 2 else x

    model = Fixed()
    model(random(2, 3))
    with pytest.warns(UserWarning, match="axis 0 of the input .* cannot stay open.*it is 2"):
        model.export(tmp_path / "m.pt2", "torch", verbose=False)


def test_the_time_axis_of_a_recurrent_layer_is_fixed_by_torch(tmp_path):
    model = Sequential([Input((None, 3)), layers.GRU(2)])
    with pytest.warns(UserWarning, match="axis 1 of the input .* cannot stay open"):
        model.export(tmp_path / "m.pt2", "torch", verbose=False)
    assert loaded(tmp_path / "m.pt2")(random(5, 64, 3)).shape == (5, 2)


@pytest.mark.parametrize("wrapped", [lambda d: {0: d}, lambda d: ({0: d},), lambda d: [({0: d},)]])
def test_dynamic_shapes_as_in_keras(wrapped, tmp_path):
    batch = torch.export.Dim("batch", min=1, max=8)
    sequential().export(tmp_path / "m.pt2", "torch", verbose=False, dynamic_shapes=wrapped(batch))
    program = loaded(tmp_path / "m.pt2")
    assert [program(random(n, 3)).shape[0] for n in (1, 8)] == [1, 8]
    with pytest.raises(AssertionError):
        program(random(9, 3))


def test_dynamic_shapes_of_a_list_of_inputs(tmp_path):
    batch = torch.export.Dim("batch", max=8)
    path = tmp_path / "m.pt2"
    listed().export(path, "torch", verbose=False, dynamic_shapes=[{0: batch}, {0: batch}])
    assert loaded(path)([random(5, 3), random(5, 3)])[0].shape == (5, 3)


def test_where_it_was_written_is_said(tmp_path, capsys):
    path = export_torch(sequential(), tmp_path / "m.pt2")
    assert capsys.readouterr().out == f"Saved a program of torch.export at '{path}'.\n"
    export_torch(sequential(), tmp_path / "m.pt2", verbose=False)
    assert capsys.readouterr().out == ""


def test_a_failure_leaves_the_old_file(tmp_path):
    class Deciding(Model):
        def call(self, x):
            return x if bool(x.sum() > 0) else -x

    model = Deciding()
    model(torch.ones(2, 3))
    (tmp_path / "m.pt2").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="failed to trace Deciding"):
        model.export(tmp_path / "m.pt2", "torch")
    assert (tmp_path / "m.pt2").read_bytes() == b"old"


def test_wrong_arguments(tmp_path):
    model = sequential()
    with pytest.raises(ValueError, match="is a `.pt2` file"):
        model.export(tmp_path / "m.txt", format="torch")
    with pytest.raises(ValueError, match="Unsupported arguments.*strickt(.|\n)*strict"):
        model.export(tmp_path / "m.pt2", format="torch", strickt=True)
    with pytest.raises(ValueError, match="Unrecognized format='pickle'"):
        model.export(tmp_path / "m.pt2", format="pickle")


@pytest.mark.parametrize("format", ["tf_saved_model", "openvino", "litert"])
def test_formats_of_other_frameworks_say_what_to_use(tmp_path, format):
    with pytest.raises(NotImplementedError, match=f"'{format}' is not available.*format="):
        sequential().export(tmp_path / "m", format=format)
    with pytest.raises(NotImplementedError, match="format='torch'"):
        sequential().export(tmp_path / "m")  # the default is Keras's


def test_signatures():
    assert [spec.shape for spec in get_input_signature(listed())[0]] == [(None, 3), (None, 3)]
    assert get_input_signature(keyed())[0]["x"].name == "a"
    assert [spec.shape for spec in get_input_signature(two_inputs())] == [(None, 3), (None, 3)]
    assert make_input_spec(torch.ones(4, 3, dtype=torch.int32)).shape == (None, 3)
    with pytest.raises(TypeError, match="layer can be exported"):
        get_input_signature(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="has not yet been built"):
        get_input_signature(TwoInputs())
    with pytest.raises(ValueError, match="must be given"):
        make_input_spec(InputSpec(ndim=2))
    with pytest.raises(TypeError, match="Unsupported type"):
        make_input_spec((None, 3))
