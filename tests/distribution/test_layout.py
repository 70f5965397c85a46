"""Meshes, layouts and their map."""

import pytest

from torchkeras.distribution import DeviceMesh, LayoutMap, TensorLayout, list_devices

CPUS = [f"cpu:{i}" for i in range(8)]


def mesh():
    return DeviceMesh((4, 2), ["batch", "model"], CPUS)


def test_a_mesh_is_a_grid_of_devices():
    grid = mesh()
    assert grid.devices.shape == (4, 2) and grid.devices[1, 0] == "cpu:2"
    assert str(grid) == "<DeviceMesh shape=(4, 2), axis_names=['batch', 'model']>"


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((), ["batch"], "cannot be empty"),
        ((4, 2), ["batch"], "should have same size"),
        ((4, 4), ["batch", "model"], "does not match the number of devices(.|\n)*devices: 8"),
    ],
)
def test_meshes_that_cannot_be(shape, names, message):
    with pytest.raises(ValueError, match=message):
        DeviceMesh(shape, names, CPUS)


def test_a_layout_gets_its_mesh_once():
    layout = TensorLayout((None, "model"))
    layout.device_mesh = mesh()
    with pytest.raises(ValueError, match="Cannot override device mesh"):
        layout.device_mesh = mesh()
    with pytest.raises(ValueError, match=r"Invalid axis names(.|\n)*\['width'\]"):
        TensorLayout(("width", None), mesh())


def test_the_map_looks_paths_up_as_patterns():
    layouts = LayoutMap(mesh())
    layouts[".*dense.*kernel"] = (None, "model")
    layouts["head/bias"] = TensorLayout(("model",))
    assert layouts["model/dense_2/kernel"].axes == (None, "model")
    assert layouts["head/bias"].device_mesh is layouts.device_mesh
    assert layouts["model/dense_2/kernel/moment"] is None
    assert list(layouts) == [".*dense.*kernel", "head/bias"] and len(layouts) == 2
    with pytest.raises(ValueError, match="already exist"):
        layouts["head/bias"] = ("model",)
    with pytest.raises(ValueError, match="should be a TensorLayout"):
        layouts["other"] = ["model"]
    layouts[".*kernel"] = (None, None)
    with pytest.raises(ValueError, match="matches multiple"):
        layouts["model/dense_2/kernel"]
    del layouts[".*kernel"]
    assert layouts["model/conv/kernel"] is None


def test_devices_of_this_machine():
    assert list_devices("cpu") == ["cpu:0"]
    with pytest.raises(ValueError, match="'tpu'"):
        list_devices("tpu")
