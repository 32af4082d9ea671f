"""The GPU environment as whole dictionaries."""

from pathlib import Path

from catalog.inventory import Device, Mode, Share, Vendor
from spawners.local.gpu import mps_limits, render_gpu_environment

H200 = Device("GPU-aaaa", Vendor.NVIDIA, "NVIDIA H200", 143360, sharing=Mode.MPS)
OTHER = Device("GPU-bbbb", Vendor.NVIDIA, "NVIDIA H200", 143360, index=1, sharing=Mode.MPS)
MI300 = Device("amd-0", Vendor.AMD, "MI300X", 196608)
EMULATED = Device("emulated-0", Vendor.EMULATED, "Emulated 24 GiB", 24576)


def test_no_share_sees_no_device() -> None:
    assert render_gpu_environment([], [H200]) == {
        "PERIJOVE_SHARE_MILLI": "0",
        "PERIJOVE_GPU_MEMORY_MIB": "0",
        "PERIJOVE_GPU_MODE": "",
        "PERIJOVE_GPU_MODEL": "",
        "PERIJOVE_GPU_EMULATED": "0",
        "PERIJOVE_GPU_DEVICES": "",
        "CUDA_VISIBLE_DEVICES": "",
        "ROCR_VISIBLE_DEVICES": "",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }


def test_a_quarter_by_mps() -> None:
    share = Share("GPU-aaaa", 250, 35840, Mode.MPS)
    assert render_gpu_environment([share], [H200, OTHER], Path("/run/p/a")) == {
        "PERIJOVE_SHARE_MILLI": "250",
        "PERIJOVE_GPU_MEMORY_MIB": "35840",
        "PERIJOVE_GPU_MODE": "mps",
        "PERIJOVE_GPU_MODEL": "NVIDIA H200",
        "PERIJOVE_GPU_EMULATED": "0",
        "PERIJOVE_GPU_DEVICES": "GPU-aaaa",
        "CUDA_VISIBLE_DEVICES": "GPU-aaaa",
        "ROCR_VISIBLE_DEVICES": "",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=35840M",
        "CUDA_MPS_PIPE_DIRECTORY": "/run/p/a/pipe",
        "CUDA_MPS_LOG_DIRECTORY": "/run/p/a/log",
    }


def test_whole_devices_have_no_mps_limits() -> None:
    shares = [
        Share("GPU-bbbb", 1000, 143360, Mode.WHOLE),
        Share("GPU-aaaa", 1000, 143360, Mode.WHOLE),
    ]
    found = render_gpu_environment(shares, [H200, OTHER])
    assert found["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb,GPU-aaaa"
    assert found["PERIJOVE_SHARE_MILLI"] == "2000"
    assert not [name for name in found if "MPS" in name]


def test_limits_count_devices_in_visible_order() -> None:
    shares = [Share("GPU-bbbb", 500, 71680, Mode.MPS), Share("GPU-aaaa", 250, 35840, Mode.MPS)]
    assert mps_limits(shares) == {
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=71680M,1=35840M",
    }


def test_a_sliver_is_never_zero_percent() -> None:
    share = Share("GPU-aaaa", 5, 716, Mode.MPS)
    assert mps_limits([share])["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "1"


def test_an_emulated_share_has_the_limits_and_no_hardware() -> None:
    share = Share("emulated-0", 250, 6144, Mode.EMULATED, emulated=True)
    assert render_gpu_environment([share], [EMULATED]) == {
        "PERIJOVE_SHARE_MILLI": "250",
        "PERIJOVE_GPU_MEMORY_MIB": "6144",
        "PERIJOVE_GPU_MODE": "emulated",
        "PERIJOVE_GPU_MODEL": "Emulated 24 GiB",
        "PERIJOVE_GPU_EMULATED": "1",
        "PERIJOVE_GPU_DEVICES": "emulated-0",
        "CUDA_VISIBLE_DEVICES": "",
        "ROCR_VISIBLE_DEVICES": "",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=6144M",
    }


def test_amd_is_shown_to_its_own_library() -> None:
    found = render_gpu_environment([Share("amd-0", 1000, 196608, Mode.WHOLE)], [MI300])
    assert found["ROCR_VISIBLE_DEVICES"] == "amd-0"
    assert found["CUDA_VISIBLE_DEVICES"] == ""


def test_a_device_that_vanished_is_not_shown() -> None:
    found = render_gpu_environment([Share("GPU-gone", 1000, 1, Mode.WHOLE)], [H200])
    assert found["CUDA_VISIBLE_DEVICES"] == ""
