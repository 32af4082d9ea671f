"""The environment that tells a process which part of which GPU is its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from catalog.inventory import Device, Mode, Share, Vendor
from catalog.units import WHOLE

VISIBLE = {Vendor.NVIDIA: "CUDA_VISIBLE_DEVICES", Vendor.AMD: "ROCR_VISIBLE_DEVICES"}


def render_gpu_environment(
    shares: Sequence[Share],
    devices: Sequence[Device],
    mps_directory: Path | None = None,
) -> dict[str, str]:
    """Environment variables for `shares`, which are of `devices`; pure.

    ============================ ========================================================
    ``PERIJOVE_SHARE_MILLI``     thousandths of a GPU, summed; 0 without a share
    ``PERIJOVE_GPU_MEMORY_MIB``  memory of the shares, summed
    ``PERIJOVE_GPU_MODE``        whole, mig, mps, time-slice, emulated; empty without
    ``PERIJOVE_GPU_MODEL``       name of the first device
    ``PERIJOVE_GPU_EMULATED``    1 when there is no hardware behind the share, else 0
    ``PERIJOVE_GPU_DEVICES``     device ids, by comma
    ============================ ========================================================

    An emulated share hides all hardware. `mps_directory` is where this attempt's MPS daemon has
    its pipes and logs. A share of a device that is not in `devices` is left out of the variables
    of vendors.
    """
    known = {device.id: device for device in devices}
    held = [(share, known[share.device_id]) for share in shares if share.device_id in known]
    return {
        **_summary(shares, [device for _, device in held]),
        **_visibility(held),
        **mps_limits(shares),
        **(_mps_places(mps_directory) if mps_directory else {}),
    }


def mps_limits(shares: Sequence[Share]) -> dict[str, str]:
    """The MPS variables that limit compute and memory; nothing unless a share is a part.

    Indices count visible devices, in the order of `shares`. MPS has one percentage for all
    devices: the smallest share sets it, since more would take what others hold.
    """
    if not any(is_limited(share) for share in shares):
        return {}
    percent = max(1, min(share.milli for share in shares) * 100 // WHOLE)
    limits = ",".join(f"{index}={share.memory_mib}M" for index, share in enumerate(shares))
    return {
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(percent),
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": limits,
    }


def is_limited(share: Share) -> bool:
    """Whether the share carries MPS limits: a part by MPS, or the same emulated."""
    return share.mode is Mode.MPS or (_is_emulated(share) and share.milli < WHOLE)


def _is_emulated(share: Share) -> bool:
    return share.emulated or share.mode is Mode.EMULATED


def _summary(shares: Sequence[Share], devices: Sequence[Device]) -> dict[str, str]:
    return {
        "PERIJOVE_SHARE_MILLI": str(sum(share.milli for share in shares)),
        "PERIJOVE_GPU_MEMORY_MIB": str(sum(share.memory_mib for share in shares)),
        "PERIJOVE_GPU_MODE": str(shares[0].mode) if shares else "",
        "PERIJOVE_GPU_MODEL": devices[0].model if devices else "",
        "PERIJOVE_GPU_EMULATED": "1" if any(_is_emulated(share) for share in shares) else "0",
        "PERIJOVE_GPU_DEVICES": ",".join(share.device_id for share in shares),
    }


def _visibility(held: Sequence[tuple[Share, Device]]) -> Mapping[str, str]:
    """Name the devices of the shares to their vendor's library, and hide all others."""
    visible = {
        vendor: [
            share.device_id
            for share, device in held
            if device.vendor is vendor and not _is_emulated(share)
        ]
        for vendor in VISIBLE
    }
    nothing = {} if visible[Vendor.NVIDIA] else {"NVIDIA_VISIBLE_DEVICES": "void"}
    return {VISIBLE[vendor]: ",".join(ids) for vendor, ids in visible.items()} | nothing


def _mps_places(directory: Path) -> dict[str, str]:
    return {
        "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(directory / "log"),
    }
