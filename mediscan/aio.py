"""The client for asyncio. The twin of `client.py`; what both do stands in `flows.py`."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack

from pydantic import BaseModel

from mediscan import calls, flows, replies
from mediscan.aio_drive import AsyncDriver
from mediscan.calls import Call, Filter, Image, Shared, Submission, load
from mediscan.config import config
from mediscan.flows import WAIT_S
from mediscan.patience import Patience
from mediscan.replies import Reply
from mediscan.sse import Event
from mediscan.wire import contracts

M = TypeVar("M", bound=BaseModel)


async def _loaded(image: Image) -> bytes:
    return await asyncio.to_thread(load, image)


class AsyncClient:
    """A MediScan server, as this program sees it. Use it with `async with`, or close it.

    url, api_key: MEDISCAN_URL and MEDISCAN_API_KEY unless given. retry_for: how many seconds a call is tried again
    while the server is away or says "not now". attempt_for: how many seconds one attempt may take. verify: whom to
    trust, where the server's certificate is not a public one. Every method may raise a `MediScanError`.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retry_for: float = 60,
        attempt_for: float = 30,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        chosen = config(url, api_key)
        #: Of the server.
        self.url = chosen.url.rstrip("/")
        self._patience = Patience(retry_for_s=retry_for, attempt_s=attempt_for)
        self._driver = AsyncDriver(chosen, verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    # --- one image ----------------------------------------------------------------------------------------

    async def analyze(
        self, image: Image, *, timeout: float = WAIT_S, **options: Unpack[Submission]
    ) -> contracts.JobView:
        """Submit one image and return its job once that is over, however it ended. WaitTimeoutError after `timeout`."""
        job = await self.submit(image, **options)
        return await job.wait(timeout=timeout)

    async def submit(self, image: Image, **options: Unpack[Submission]) -> "AsyncJob":
        """Submit one image: a path, or the bytes of a PNG, JPEG or DICOM file. The job is durable when this returns."""
        call = calls.submit(await _loaded(image), options, new_key=secrets.token_hex(16))
        return AsyncJob(self, await self._fetch(call, contracts.JobView))

    async def get(self, job_id: str) -> contracts.JobView:
        """The job as it stands."""
        return await self._fetch(calls.read(job_id), contracts.JobView)

    async def job(self, job_id: str) -> "AsyncJob":
        """A handle on a job that was submitted before."""
        return AsyncJob(self, await self.get(job_id))

    async def wait(self, job_id: str, *, timeout: float = WAIT_S) -> contracts.JobView:
        """The job once it is over, however it ended. WaitTimeoutError after `timeout` seconds."""
        return await self._driver.run(flows.until_over(flows.job(job_id), timeout, self._patience))

    def changes(self, job_id: str, *, timeout: float = WAIT_S) -> AsyncIterator[contracts.JobView]:
        """The job now and after each change, until it is over. WaitTimeoutError after `timeout` seconds."""
        return self._driver.iterate(flows.changes(flows.job(job_id), timeout, self._patience))

    def events(self, job_id: str, *, after: str = "") -> AsyncIterator[Event]:
        """The job's steps as they happen, from the first, or from the one after the event with the id `after`."""
        return self._driver.iterate(flows.events(job_id, after, self._patience))

    async def heatmap(self, job_id: str) -> bytes:
        """A PNG of where the ML reading's evidence lies. NotFoundError (`no_heatmap`) before there is a reading."""
        return (await self.send(calls.heatmap(job_id))).body

    async def fhir(self, job_id: str) -> bytes:
        """The result as a FHIR R4 bundle, JSON. NotFoundError (`no_result`) where there is none (yet)."""
        return (await self.send(calls.result(job_id, "application/fhir+json"))).body

    async def dicom(self, job_id: str, which: str = "sr") -> bytes:
        """What the result adds to the study of a DICOM image, as a DICOM file: `sr`, `overlay` or `map`."""
        return (await self.send(calls.dicom(job_id, which))).body

    async def cancel(self, job_id: str) -> contracts.JobView:
        """Call the job off. ConflictError (`already_over`) where it has ended otherwise."""
        return await self._fetch(calls.cancel(job_id), contracts.JobView)

    async def retry(self, job_id: str) -> "AsyncJob":
        """A new job over the image of one that failed, expired or was cancelled."""
        return AsyncJob(self, await self._fetch(calls.retry(job_id), contracts.JobView))

    async def deliveries(self, job_id: str) -> tuple[contracts.Delivery, ...]:
        """Every attempt to tell the job's webhook how it ended; empty where nobody is told, or not yet."""
        return (await self._fetch(calls.deliveries(job_id), contracts.DeliveryPage)).items

    async def redeliver(self, job_id: str) -> tuple[contracts.Delivery, ...]:
        """Have the webhook sent once more. NotFoundError (`no_delivery`) where nobody is told, or not yet."""
        return (await self._fetch(calls.redeliver(job_id), contracts.DeliveryPage)).items

    async def delete(self, job_id: str) -> None:
        """Erase the job with its image and result."""
        await self.send(calls.delete(job_id))

    # --- many ---------------------------------------------------------------------------------------------

    def list(self, *, page_size: int = 50, **options: Unpack[Filter]) -> AsyncIterator[contracts.JobView]:
        """Your jobs, newest first; asks for the next page when you come to it."""
        return self._driver.iterate(flows.pages(options, page_size, self._patience))

    async def submit_batch(self, images: Iterable[Image], **options: Unpack[Shared]) -> "AsyncBatch":
        """Submit many images in one request; each becomes a job, or is refused on its own."""
        loaded = [await _loaded(image) for image in images]
        call = calls.submit_batch(loaded, options, new_key=secrets.token_hex(16))
        return AsyncBatch(self, await self._fetch(call, contracts.BatchView))

    async def submit_archive(self, archive: Image, **options: Unpack[Shared]) -> "AsyncBatch":
        """Submit a zip of images in one request."""
        call = calls.submit_archive(await _loaded(archive), options, new_key=secrets.token_hex(16))
        return AsyncBatch(self, await self._fetch(call, contracts.BatchView))

    async def batch(self, batch_id: str) -> "AsyncBatch":
        """A handle on a batch that was submitted before."""
        return AsyncBatch(self, await self.get_batch(batch_id))

    async def get_batch(self, batch_id: str) -> contracts.BatchView:
        """The batch as it stands."""
        return await self._fetch(calls.read_batch(batch_id), contracts.BatchView)

    async def wait_batch(self, batch_id: str, *, timeout: float = WAIT_S) -> contracts.BatchView:
        """The batch once all of its jobs are over. WaitTimeoutError after `timeout` seconds."""
        return await self._driver.run(flows.until_over(flows.batch(batch_id), timeout, self._patience))

    def batch_changes(self, batch_id: str, *, timeout: float = WAIT_S) -> AsyncIterator[contracts.BatchView]:
        """The batch now and after each change, until it is over. WaitTimeoutError after `timeout` seconds."""
        return self._driver.iterate(flows.changes(flows.batch(batch_id), timeout, self._patience))

    async def batch_results(self, batch_id: str) -> Iterator[contracts.JobView | contracts.Problem]:
        """For each item in order: its job, or why it was refused."""
        return replies.results(await self.send(calls.batch_results(batch_id)))

    async def cancel_batch(self, batch_id: str) -> contracts.BatchView:
        """Call off every job of the batch that is not over."""
        return await self._fetch(calls.cancel_batch(batch_id), contracts.BatchView)

    # --- given up ------------------------------------------------------------------------------------------

    def dead_letters(self, *, page_size: int = 50) -> AsyncIterator[contracts.DeadLetter]:
        """Jobs that were given up, newest first. Needs the scope `admin`."""
        return self._driver.iterate(flows.dead_letters(page_size, self._patience))

    async def dead_letter(self, job_id: str) -> contracts.DeadLetter:
        """Why a job was given up. Needs the scope `admin`."""
        return await self._fetch(calls.dead_letter(job_id), contracts.DeadLetter)

    async def replay(self, job_id: str) -> "AsyncJob":
        """Have a job that was given up read again. Needs the scope `admin`."""
        return AsyncJob(self, await self._fetch(calls.replay(job_id), contracts.JobView))

    # --- the server ---------------------------------------------------------------------------------------

    async def models(self) -> tuple[contracts.ModelEntry, ...]:
        """What images can be read with, each with its card."""
        return (await self._fetch(calls.models(), contracts.ModelList)).models

    async def cluster(self) -> contracts.ClusterView:
        """The whole house at one moment; needs a key with the scope `admin`."""
        return await self._fetch(calls.cluster(), contracts.ClusterView)

    async def readiness(self) -> contracts.Readiness | contracts.ReadyStatus:
        """Whether work that is submitted now will be done; what is missing is told to keys with `admin`. Asks once."""
        return await self._driver.run(flows.readiness(self._patience))

    async def _fetch(self, call: Call, model: type[M]) -> M:
        return await self._driver.run(flows.fetch(call, model, self._patience))

    async def send(self, call: Call) -> Reply:
        """Send one of `mediscan.calls`, and try again as for all others: for what has no method here."""
        return await self._driver.run(flows.send(call, self._patience))


class AsyncJob:
    """A submitted job."""

    def __init__(self, client: AsyncClient, view: contracts.JobView) -> None:
        self._client = client
        #: As it was seen last.
        self.view = view

    @property
    def id(self) -> str:
        """By which the server knows it."""
        return self.view.id

    async def refresh(self) -> contracts.JobView:
        """The job as it stands now."""
        self.view = await self._client.get(self.id)
        return self.view

    async def wait(self, *, timeout: float = WAIT_S) -> contracts.JobView:
        """The job once it is over, however it ended. WaitTimeoutError after `timeout` seconds."""
        self.view = await self._client.wait(self.id, timeout=timeout)
        return self.view

    async def result(self, *, timeout: float = WAIT_S) -> contracts.FusedResult:
        """Wait, and return the result. NoResultError where the job ended without one."""
        return replies.result_of(await self.wait(timeout=timeout))

    def events(self, *, after: str = "") -> AsyncIterator[Event]:
        """The job's steps as they happen."""
        return self._client.events(self.id, after=after)

    def changes(self, *, timeout: float = WAIT_S) -> AsyncIterator[contracts.JobView]:
        """The job now and after each change."""
        return self._client.changes(self.id, timeout=timeout)

    async def heatmap(self) -> bytes:
        """A PNG of where the ML reading's evidence lies."""
        return await self._client.heatmap(self.id)

    async def fhir(self) -> bytes:
        """The result as a FHIR R4 bundle, JSON."""
        return await self._client.fhir(self.id)

    async def dicom(self, which: str = "sr") -> bytes:
        """What the result adds to the study of a DICOM image: `sr`, `overlay` or `map`."""
        return await self._client.dicom(self.id, which)

    async def cancel(self) -> contracts.JobView:
        """Call it off. ConflictError where it has ended otherwise."""
        self.view = await self._client.cancel(self.id)
        return self.view

    async def retry(self) -> "AsyncJob":
        """A new job over the same image."""
        return await self._client.retry(self.id)

    async def deliveries(self) -> tuple[contracts.Delivery, ...]:
        """Every attempt to tell its webhook how it ended."""
        return await self._client.deliveries(self.id)

    async def redeliver(self) -> tuple[contracts.Delivery, ...]:
        """Have its webhook sent once more."""
        return await self._client.redeliver(self.id)

    async def delete(self) -> None:
        """Erase it with its image and result."""
        await self._client.delete(self.id)


class AsyncBatch:
    """Many images, submitted in one request."""

    def __init__(self, client: AsyncClient, view: contracts.BatchView) -> None:
        self._client = client
        #: As it was seen last.
        self.view = view

    @property
    def id(self) -> str:
        """By which the server knows it."""
        return self.view.id

    async def refresh(self) -> contracts.BatchView:
        """The batch as it stands now."""
        self.view = await self._client.get_batch(self.id)
        return self.view

    async def wait(self, *, timeout: float = WAIT_S) -> contracts.BatchView:
        """The batch once all of its jobs are over. WaitTimeoutError after `timeout` seconds."""
        self.view = await self._client.wait_batch(self.id, timeout=timeout)
        return self.view

    def changes(self, *, timeout: float = WAIT_S) -> AsyncIterator[contracts.BatchView]:
        """The batch now and after each change."""
        return self._client.batch_changes(self.id, timeout=timeout)

    async def results(self) -> Iterator[contracts.JobView | contracts.Problem]:
        """For each item in order: its job as it stands, or why it was refused."""
        return await self._client.batch_results(self.id)

    async def cancel(self) -> contracts.BatchView:
        """Call off every job of it that is not over."""
        self.view = await self._client.cancel_batch(self.id)
        return self.view
