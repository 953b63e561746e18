import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { HeadwaterError, type OpId } from '@headwater/protocol'
import type { Revocation } from '../auth/revocation.ts'
import type { Revocations } from '../auth/revocations.ts'
import type { ServiceSettings } from '../config/options.ts'
import type { Log } from '../observe/log.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { Listener, Replicating } from '../serving.ts'
import type { SyncStorage } from '../storage/storage.ts'
import { answerCall, type MainFunctions, toMainFunctions } from './calls.ts'
import type { GatheredMetrics } from './gathered-metrics.ts'
import { type FromWorker, readFromWorker, type ToWorker } from './messages.ts'
import type { WorkerStreams } from './user-streams.ts'

/** A worker that has said nothing for so many ticks hangs, and may hold a state of storage that is cleaned up by now. */
const SILENT_TICKS_MAX = 15

/** Before its first word a worker loads its program, which takes long where others keep the machine busy. */
const START_TICKS_MAX = 60

/** Nobody waits for a worker that was not heard for so many. */
const QUIET_TICKS = 3

/** Connections on their way to one worker: what a worker that hangs can take with it. */
const ON_THEIR_WAY_MAX = 32

/** More than the time that a worker gives its streams to end. */
const STOP_MS = 5_000

const ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'worker-entry.ts' : 'worker-entry.js', import.meta.url),
)

export type WorkerParts = {
  /** From 1; one that takes the place of another has its number. */
  readonly worker: number
  readonly settings: ServiceSettings
  readonly storage: ServedStorage
  readonly revocations: Pick<Revocations, 'list'>
  readonly replicating: Replicating
  readonly streams: WorkerStreams
  readonly metrics: GatheredMetrics
  readonly log: Log
  /** It may take connections now. */
  readonly onFree: () => void
}

/** What the main process does with storage for a worker. */
export type ServedStorage = Pick<SyncStorage, 'watchCommits' | 'readHead' | 'pinCheckpoint'>

export type WorkerEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

/** One worker, from its start to its end, as the main process sees it. */
export class WorkerProcess {
  /** Rejects with `worker-failed` when it ends before. */
  readonly ready: Promise<void>
  readonly ended: Promise<WorkerEnd>
  readonly #parts: WorkerParts
  readonly #functions: MainFunctions
  readonly #child: ChildProcess
  readonly #over = new AbortController()
  readonly #onTheirWay: Socket[] = []
  readonly #awaitedShown = new Set<{ readonly place: Lsn; readonly resolve: (isShown: boolean) => void }>()
  #lastShown: OpId | undefined
  #pinned: Disposable | undefined
  #isReady = false
  #isStopping = false
  #connections = 0
  #silentTicks = 0
  #noteReady: () => void = () => {}
  #awaitedMetrics: PromiseWithResolvers<void> | undefined

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#functions = toMainFunctions(parts.replicating, parts.streams)
    this.#child = fork(ENTRY, [], { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.ended = this.#awaitEnd()
    this.ready = new Promise((resolve, reject) => {
      this.#noteReady = resolve
      void this.ended.then((end) => reject(failed(parts.worker, end)))
    })
    // Only at the first start somebody waits for it.
    this.ready.catch(() => {})
    this.#child.on('message', (message) => {
      this.#receive(readFromWorker(message))
    })
    void this.#tellCommits()
    void this.#pin(undefined)
    const { worker, settings } = parts
    void this.#send({ kind: 'begin', worker, settings, revocations: parts.revocations.list() })
  }

  get connections(): number {
    return this.#connections
  }

  get mayTake(): boolean {
    return this.#isReady && !this.#isStopping && this.#onTheirWay.length < ON_THEIR_WAY_MAX
  }

  take(listener: Listener, socket: Socket): void {
    this.#connections += 1
    this.#onTheirWay.push(socket)
    // Left open here until the worker has it. Node would let go of one that finds the channel broken without closing it,
    // and its client would wait for ever (seen with 24.21).
    this.#child.send({ kind: 'connection', listener } satisfies ToWorker, socket, { keepOpen: true }, () => {
      // When the worker is gone, `ended` says so.
    })
  }

  tellRevoked(revocations: readonly Revocation[]): void {
    void this.#send({ kind: 'revoked', revocations })
  }

  /** To be called every second or so, by the clock of this process: one that was stopped itself blames nobody. */
  tick(): void {
    this.#silentTicks += 1
    if (this.#silentTicks >= QUIET_TICKS) this.#giveUpShown()
    if (this.#silentTicks !== (this.#isReady ? SILENT_TICKS_MAX : START_TICKS_MAX)) return
    this.#parts.log.warn('worker-silent', { worker: this.#parts.worker, pid: this.#child.pid })
    this.#child.kill('SIGKILL')
  }

  /** Resolves when its newest metrics are noted, or it has ended. */
  async readMetrics(): Promise<void> {
    if (!this.#isReady) return
    if (this.#awaitedMetrics === undefined) {
      this.#awaitedMetrics = Promise.withResolvers()
      void this.#send({ kind: 'read-metrics' })
    }
    await Promise.race([this.#awaitedMetrics.promise, this.ended])
  }

  /** True when it shows its clients everything up to `place`; false when it is not there, or says nothing any more. */
  async untilShown(place: Lsn, signal: AbortSignal): Promise<boolean> {
    if (!this.#isReady || this.#silentTicks >= QUIET_TICKS || signal.aborted) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const awaited = { place, resolve }
    const leave = (): void => resolve(false)
    this.#awaitedShown.add(awaited)
    signal.addEventListener('abort', leave, { once: true })
    void this.#send({ kind: 'show', place })
    const isShown = await promise
    signal.removeEventListener('abort', leave)
    this.#awaitedShown.delete(awaited)
    return isShown
  }

  /** Its streams end in good order. */
  async stop(): Promise<void> {
    this.#isStopping = true
    void this.#send({ kind: 'stop' })
    const timeout = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.ended
    clearTimeout(timeout)
  }

  async #awaitEnd(): Promise<WorkerEnd> {
    const { promise, resolve } = Promise.withResolvers<WorkerEnd>()
    this.#child.once('exit', (code, signal) => resolve({ code, signal }))
    // Not even started.
    this.#child.on('error', (error) => {
      this.#parts.log.error('worker-failed', { worker: this.#parts.worker, error })
      if (this.#child.pid === undefined) resolve({ code: null, signal: null })
    })
    const end = await promise
    this.#isReady = false
    this.#over.abort()
    this.#pinned?.[Symbol.dispose]()
    this.#giveUpShown()
    for (const socket of this.#onTheirWay.splice(0)) socket.destroy()
    this.#parts.streams.end()
    this.#parts.metrics.noteEnd(this)
    return end
  }

  #giveUpShown(): void {
    for (const { resolve } of this.#awaitedShown) resolve(false)
  }

  #receive(message: FromWorker): void {
    this.#silentTicks = 0
    switch (message.kind) {
      case 'ready':
        this.#isReady = true
        void this.#pin(undefined)
        this.#parts.log.info('worker-started', { worker: this.#parts.worker, pid: this.#child.pid })
        this.#noteReady()
        this.#parts.onFree()
        return
      case 'alive':
        void this.#pin(message.oldestPinned)
        return
      case 'accepted':
        this.#onTheirWay.shift()?.destroy()
        this.#parts.onFree()
        return
      case 'closed':
        this.#connections -= 1
        return
      case 'stream-place-left':
        this.#parts.streams.giveBack(message.place)
        return
      case 'call':
        void this.#answer(message)
        return
      case 'shown':
        for (const { place, resolve } of this.#awaitedShown) if (place <= message.place) resolve(true)
        return
      case 'metrics':
        this.#parts.metrics.note(this, message.metrics)
        this.#awaitedMetrics?.resolve()
        this.#awaitedMetrics = undefined
    }
  }

  /**
   * Pins for the worker what it has pinned itself, and what was shown when it told that the last time: it cannot begin
   * to bring clients to anything older before it tells again.
   */
  async #pin(oldestPinned: OpId | undefined): Promise<void> {
    const { storage } = this.#parts
    const lastShown = this.#lastShown
    this.#lastShown = (await storage.readHead())?.checkpoint.opId
    const isOlder = lastShown === undefined || (oldestPinned !== undefined && oldestPinned < lastShown)
    const oldest = isOlder ? oldestPinned : lastShown
    const before = this.#pinned
    this.#pinned = oldest === undefined || this.#over.signal.aborted ? undefined : storage.pinCheckpoint(oldest)
    before?.[Symbol.dispose]()
  }

  async #answer({ id, call }: Extract<FromWorker, { kind: 'call' }>): Promise<void> {
    await this.#send({ kind: 'result', id, result: await answerCall(this.#functions, call) })
  }

  /** One at a time: what comes while the channel is full is merged. */
  async #tellCommits(): Promise<void> {
    let count = 0
    for await (const commit of this.#parts.storage.watchCommits(this.#over.signal)) {
      count += 1
      await this.#send({ kind: 'commit', count, commit })
    }
  }

  /** Resolves when the channel has taken it, also if the worker is gone: then `ended` says so. */
  #send(message: ToWorker): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#child.connected) resolve()
      else this.#child.send(message, () => resolve())
    })
  }
}

function failed(worker: number, { code, signal }: WorkerEnd): HeadwaterError {
  return new HeadwaterError(
    'worker-failed',
    `Cannot start: worker ${worker} ended (${signal ?? `exit code ${code}`}) before it could serve. It has said why on standard error or in the log.`,
  )
}
