"""The weights of a network spread over the processes (FSDP2), under Lightning's
ModelParallelStrategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MethodType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from radio.models.pieces import undivided
from radio.rerankers import tuning
from radio.schema import GroupBatch, InputError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from radio.rerankers import Reranker

Score = Callable[[GroupBatch], Tensor]


def shard(module: Reranker, network: nn.Module) -> nn.Module:
    """Spread the weights over the processes, if the strategy of the run does that.

    Each block of the transformers models is gathered when its turn comes, the rest for the whole
    of :meth:`Reranker.score`: each process has one block at a time besides its share.

    Raises:
        InputError: the strategy is to split single layers too.
    """
    mesh: DeviceMesh | None = module.device_mesh
    if mesh is None:
        return network
    if mesh["tensor_parallel"].size() > 1:
        raise InputError(
            f"ModelParallelStrategy: tensor_parallel_size: found {mesh['tensor_parallel'].size()}, "
            "expected 1: rerankers share whole layers out (data_parallel_size is the number of "
            "processes)"
        )
    for block in _blocks(network):
        fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(network, mesh=mesh["data_parallel"])
    # a score may be made of parts of the network alone, whose forward is never called
    setattr(network, "scored", MethodType(_scored, network))  # noqa: B010 -- no module's attribute
    register_fsdp_forward_method(network, "scored")
    return network


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The blocks of its transformers models: what stands in lists that are in no other list."""
    for model in tuning.pretrained(network):
        found: list[str] = []
        for name, part in model.base_model.named_modules():
            if isinstance(part, nn.ModuleList) and not name.startswith(tuple(found)):
                found.append(f"{name}.")
                yield from part


def _scored(network: nn.Module, score: Score, batch: GroupBatch) -> Tensor:
    return score(batch)


def scored_by(network: Any, score: Score, batch: GroupBatch) -> Tensor:
    """What a reranker's method makes of a batch, with the weights that it needs gathered."""
    if not isinstance(network, FSDPModule):
        return score(batch)
    with undivided():
        scores: Tensor = network.scored(score, batch)  # type: ignore[attr-defined]
    return scores


def is_sharded(network: object) -> bool:
    """Whether the weights are spread over the processes."""
    return isinstance(network, FSDPModule)


def own_part(weight: Tensor) -> Tensor:
    """The share of this process of a weight: looking at it asks no other process."""
    return weight.to_local() if isinstance(weight, DTensor) else weight
