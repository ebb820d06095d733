"""Machines with hidden units and Potts machines: rbms, scikit-learn, adabmDCA, torch and numpy by hand.

rbms (torch): its own step of training without its records in a file, its own sampler, annealing and
exact sum; the exact sum in slices of 2^16 states, since all at once take 10 GB and longer.
scikit-learn: `partial_fit` on float32. adabmDCA: the sampler that it prepares for this processor.
torch and numpy by hand: in-place and fused where they can; numpy and scipy with half of the chains on
each of two threads, single-threaded BLAS inside.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cores
import numpy as np
from problems import ON, pictures, potts, rbm
from timing import Timed, measured
from works import WORKS

SWEEPS = 10


def _torch():
    import torch

    torch.set_num_threads(cores.THREADS)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    return torch


def _unit_updates(work: str) -> float:
    size = WORKS[work].size
    return size["chains"] * (size["Nv"] + size["Nh"]) * SWEEPS


def _start(work: str) -> np.ndarray:
    size = WORKS[work].size
    return (np.random.default_rng(1).random((size["chains"], size["Nv"])) < ON).astype(np.float32)


def rbms(work: str, repetitions: int | None) -> Timed:
    """rbms' BBRBM: sampling, annealing, exact sum or training."""
    torch = _torch()
    from rbms.bernoulli_bernoulli.classes import BBRBM

    size = WORKS[work].size
    if "batch" in size:
        return _rbms_training(work, repetitions, torch, BBRBM)
    machine = BBRBM(*map(torch.from_numpy, rbm(work)))
    if work == "ais":
        from rbms.partition_function.ais import compute_partition_function_ais as annealed

        annealed(size["chains"], 5, machine)
        steps = size["temperatures"]
        return measured(lambda: annealed(size["chains"], steps, machine), steps - 1, repetitions)
    if work == "log_z":
        return _rbms_log_z(work, repetitions, torch, machine)
    held = [machine.init_chains(size["chains"], start_v=torch.from_numpy(_start(work)))]

    def run() -> None:
        held[0] = machine.sample_state(chains=held[0], n_steps=SWEEPS)

    run()
    run()
    return measured(run, _unit_updates(work), repetitions)


def _rbms_log_z(work, repetitions, torch, machine) -> Timed:
    from rbms.partition_function.exact import compute_partition_function_rbm

    hidden, part = WORKS[work].size["Nh"], 2**16
    bits, value = torch.arange(hidden), 0.0

    def run() -> None:
        nonlocal value
        sums = []
        for first in range(0, 2**hidden, part):
            states = (torch.arange(first, first + part)[:, None] >> bits & 1).float()
            sums.append(compute_partition_function_rbm(machine, states))
        value = float(torch.logsumexp(torch.tensor(sums, dtype=torch.float64), 0))

    timed = measured(run, 1, repetitions)
    timed.more["value"] = value
    return timed


def _rbms_training(work, repetitions, torch, BBRBM) -> Timed:
    from rbms.dataset.dataset_class import RBMDataset
    from rbms.training.pcd import fit_batch_pcd

    size, X = WORKS[work].size, pictures(work).astype(np.float32)
    count, cpu, kind = len(X), torch.device("cpu"), torch.float32
    held = RBMDataset(
        data=X,
        labels=np.zeros(count, dtype=np.int32),
        weights=np.ones(count, dtype=np.float32),
        names=np.arange(count).astype(str),
        dataset_name="pictures",
        is_binary=True,
        device="cpu",
        dtype=kind,
    )
    machine = BBRBM.init_parameters(num_hiddens=size["Nh"], dataset=held, device=cpu, dtype=kind)
    optimiser = torch.optim.SGD(machine.parameters(), lr=0.01, maximize=True)
    for array in machine.parameters():
        array.grad = torch.zeros_like(array)
    chains = [machine.init_chains(size["chains"])]
    data, weights = torch.from_numpy(X), torch.ones(size["batch"], 1)
    updates = 50 if work == "digits" else 2

    def run() -> None:
        for _ in range(updates):
            rows = torch.randperm(count)[: size["batch"]]
            optimiser.zero_grad(set_to_none=False)
            chains[0], _ = fit_batch_pcd((data[rows], weights), chains[0], machine, size["k"], 1.0)
            optimiser.step()

    run()
    run()
    run()
    return measured(run, updates, repetitions)


def sklearn(work: str, repetitions: int | None) -> Timed:
    """`BernoulliRBM.partial_fit`: PCD-1 with as many chains as the batch has samples."""
    from sklearn.neural_network import BernoulliRBM

    size, X = WORKS[work].size, pictures(work).astype(np.float32)
    machine = BernoulliRBM(size["Nh"], learning_rate=0.01, batch_size=size["batch"], random_state=0)
    rng = np.random.default_rng(0)

    def run() -> None:
        machine.partial_fit(X[rng.integers(0, len(X), size["batch"])])

    run()
    run()
    return measured(run, 1, repetitions)


def torch_by_hand(work: str, repetitions: int | None) -> Timed:
    """Block Gibbs with one fused product and sum per layer, in place where torch can."""
    torch = _torch()
    W, a, b = map(torch.from_numpy, rbm(work))
    v, W_t = torch.from_numpy(_start(work)), W.T
    h = torch.empty(len(v), W.shape[1])
    p_h, p_v, u_h, u_v = (torch.empty_like(x) for x in (h, v, h, v))

    def run() -> None:
        for _ in range(SWEEPS):
            torch.addmm(b, v, W, out=p_h).sigmoid_()
            h.copy_(torch.lt(u_h.uniform_(), p_h))
            torch.addmm(a, h, W_t, out=p_v).sigmoid_()
            v.copy_(torch.lt(u_v.uniform_(), p_v))

    run()
    run()
    return measured(run, _unit_updates(work), repetitions)


def by_hand(work: str, repetitions: int | None) -> Timed:
    """Block Gibbs in numpy (and scipy for truncated Gaussian units), chains halved over threads."""
    from threadpoolctl import threadpool_limits

    W, a, b = rbm(work)
    sweep = {"rbm_gibbs": _binary, "gaussian_hidden": _gaussian, "truncated_hidden": _truncated}[work]
    parts = [
        (np.ascontiguousarray(v), np.random.default_rng(place))
        for place, v in enumerate(np.array_split(_start(work), cores.THREADS))
    ]
    pool = ThreadPoolExecutor(cores.THREADS)

    def chains(part) -> None:
        v, rng = part
        for _ in range(SWEEPS):
            h = sweep(v @ W + b, rng)
            p = 1 / (1 + np.exp(-(h @ W.T + a)))
            np.less(rng.random(p.shape, dtype=np.float32), p, out=v, casting="unsafe")

    def run() -> None:
        with threadpool_limits(1, user_api="blas"):
            list(pool.map(chains, parts))

    run()
    return measured(run, _unit_updates(work), repetitions)


def _binary(field, rng) -> np.ndarray:
    uniform = rng.random(field.shape, dtype=np.float32)
    return (uniform < 1 / (1 + np.exp(-field))).astype(np.float32)


def _gaussian(field, rng) -> np.ndarray:
    return field + rng.standard_normal(field.shape, dtype=np.float32)


def _truncated(field, rng) -> np.ndarray:
    """Mean `field`, variance 1, above 0, by the inverse of the distribution function."""
    from scipy.special import ndtr, ndtri

    u = rng.random(field.shape, dtype=np.float32)
    return field - ndtri((u + np.float32(2.0**-25)) * ndtr(field))


def adabmDCA(work: str, repetitions: int | None) -> Timed:
    """One update: its sampler, its frequencies of pairs, its step."""
    torch = _torch()
    from adabmDCA import sampling, stats, training

    size = WORKS[work].size
    L, q = size["L"], size["q"]
    J, h, sequences = potts()
    params = {
        "bias": torch.from_numpy(h).float(),
        "coupling_matrix": torch.from_numpy(J.transpose(0, 2, 1, 3).copy()).float(),
    }
    mask = torch.ones(L, q, L, q)
    mask[torch.arange(L), :, torch.arange(L), :] = 0
    one_hot = torch.nn.functional.one_hot
    data = one_hot(torch.from_numpy(sequences).long(), q).float()
    f_i, f_ij = stats.get_freq_single_point(data), stats.get_freq_two_points(data)
    held = [one_hot(torch.randint(0, q, (size["chains"], L)), q).float()]
    sampler = sampling.prepare_sampler("gibbs", torch.device("cpu"))

    def update(sweeps: int) -> None:
        held[0] = sampler(held[0], params, sweeps, 1.0)
        p_i, p_ij = stats.get_freq_single_point(held[0]), stats.get_freq_two_points(held[0])
        training.update_params(f_i, f_ij, p_i, p_ij, params, mask, 1e-4)

    update(1)
    return measured(lambda: update(size["k"]), 1, repetitions)


MACHINES = {
    "rbms": rbms,
    "sklearn": sklearn,
    "torch": torch_by_hand,
    "numpy": by_hand,
    "scipy": by_hand,
    "adabmDCA": adabmDCA,
}
