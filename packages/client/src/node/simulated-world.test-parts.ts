/** A source, a service and a backend in memory, on a clock that is moved by hand, with every fault that they can have. */
import type { ManualClock, Random } from '@headwater/testkit'
import {
  bucketEntry,
  checkpointLine,
  completeLine,
  dataLine,
  diffLine,
  put,
  ScriptedStream,
} from '../sync/scripted-service.test-parts.ts'
import type { WireOperation } from '../sync/scripted-service.test-parts.ts'

/** What is wrong at the moment; all `none` when healed. */
export type Faults = {
  /** `hang`: calls are never answered. `lose-answers`: what was asked is done, and nobody hears of it. */
  network: 'none' | 'down' | 'hang' | 'lose-answers'
  service: 'none' | 'down' | 'busy' | 'refuses-tokens'
  backend: 'none' | 'down' | 'busy' | 'lose-answers'
  /** Replication stands still. */
  replication: 'none' | 'stalled'
}

export type World = {
  readonly faults: Faults
  readonly fetch: typeof fetch
  /** The rows of the source. */
  readonly rows: ReadonlyMap<string, string>
  readonly rejected: ReadonlySet<string>
  readonly issueToken: (userId: string) => string
  readonly writeAtSource: (id: string, name: string) => void
  /** To be called whenever the clock has moved: replication gets on, lines are sent. */
  readonly tick: () => void
  readonly heal: () => void
  readonly cutStreams: (how: 'reset' | 'truncate' | 'silence' | 'end' | 'error') => void
  /** Everything that the service has stored, or only the numbers of its clients. */
  readonly lose: (what: 'storage' | 'numbers') => void
}

export const UPLOAD_URL = 'http://backend.test/upload'

const KEEPALIVE_MS = 20_000
const TOKEN_LIFE_MS = 120_000
/** The backend refuses these. */
export const REFUSED_NAME = 'refused'

type Stream = {
  readonly wire: ScriptedStream
  readonly token: Token
  sent: number
  number: number
  lastLineMs: number
  isDead: boolean
}
type Token = { readonly user: string; readonly endsMs: number }
type Noted = { readonly number: number; readonly head: number }

export function createWorld(parts: {
  readonly clock: ManualClock
  readonly random: Random
  /** False: a service from before clients chose numbers. */
  readonly offersRequests: boolean
}): World {
  const { clock, random, offersRequests } = parts
  const faults: Faults = { network: 'none', service: 'none', backend: 'none', replication: 'none' }
  const rows = new Map<string, string>()
  const rejected = new Set<string>()
  const applied = new Set<string>()
  const log: WireOperation[] = []
  const noted = new Map<string, Noted>()
  const streams = new Set<Stream>()
  let generation = 1
  let replicated = 0

  const bucket = (): string => `${generation}#all`
  const numberOf = (key: string): number => {
    const found = noted.get(key)
    return found !== undefined && found.head <= replicated ? found.number : 0
  }
  const writeAtSource = (id: string, name: string): void => {
    rows.set(id, name)
    log.push(put(log.length + 1, 'lists', id, { name }))
  }

  const announce = (stream: Stream): void => {
    const number = numberOf(keyOf(stream))
    if (stream.sent === replicated && stream.number === number && stream.sent >= 0) return
    const first = stream.sent < 0
    const after = first ? positionIn(stream.wire.request, bucket()) : stream.sent
    const entry = bucketEntry(bucket(), log.slice(0, replicated))
    const more = number === 0 ? {} : { write_checkpoint: String(number) }
    stream.wire.send(first ? checkpointLine(replicated, [entry], more) : diffLine(replicated, [entry], more))
    if (replicated > after) stream.wire.send(dataLine(bucket(), log.slice(after, replicated)))
    stream.wire.send(completeLine(replicated))
    stream.sent = replicated
    stream.number = number
    stream.lastLineMs = clock.monotonicMs()
  }

  const tick = (): void => {
    if (faults.replication === 'none' && faults.service !== 'down') {
      replicated = Math.min(log.length, replicated + 1 + random.integer(3))
    }
    for (const stream of streams) {
      if (stream.wire.closedByClient) streams.delete(stream)
      if (stream.wire.closedByClient || stream.isDead || faults.network === 'hang') continue
      const leftMs = stream.token.endsMs - clock.monotonicMs()
      if (leftMs <= 0) {
        stream.wire.send({ token_expires_in: 0 })
        stream.wire.end()
        streams.delete(stream)
        continue
      }
      announce(stream)
      if (clock.monotonicMs() - stream.lastLineMs >= KEEPALIVE_MS) {
        stream.wire.send({ token_expires_in: Math.ceil(leftMs / 1000) })
        stream.lastLineMs = clock.monotonicMs()
      }
    }
  }

  const cutStreams: World['cutStreams'] = (how) => {
    for (const stream of streams) {
      if (stream.isDead || stream.wire.closedByClient) continue
      stream.isDead = true
      if (how === 'silence') continue
      streams.delete(stream)
      if (how === 'truncate') stream.wire.sendCut({ token_expires_in: 60 })
      if (how === 'end') stream.wire.send({ stream_end: { reason: 'shutdown', retry_after_ms: 2000 } })
      if (how === 'error') stream.wire.send({ stream_error: { code: 'PSYNC_S2001', message: 'out of order' } })
      if (how === 'reset' || how === 'error') stream.wire.break()
      else stream.wire.end()
    }
  }

  const note = (key: string, wanted: number | undefined): number => {
    const known = noted.get(key)?.number ?? 0
    const number = wanted ?? known + 1
    if (number <= known) return known
    noted.set(key, { number, head: log.length })
    return number
  }

  const answerService = (path: string, search: URLSearchParams, init: RequestInit | undefined): Response => {
    if (faults.service === 'down') throw new TypeError('nobody listens')
    if (faults.service === 'busy') return busy(random.pick([429, 503]), random.between(1, 60))
    const headers = new Headers(init?.headers)
    const token = readToken(headers.get('authorization'))
    if (faults.service === 'refuses-tokens' || token.endsMs <= clock.monotonicMs()) {
      return Response.json({ error: { code: 'PSYNC_S2103' } }, { status: 401 })
    }
    const body: Record<string, unknown> = JSON.parse(typeof init?.body === 'string' ? init.body : '{}')
    if (path === '/sync/stream') {
      const wire = new ScriptedStream(body, headers, 'ndjson', init?.signal ?? undefined)
      const stream = { wire, token, sent: -1, number: 0, lastLineMs: clock.monotonicMs(), isDead: false }
      streams.add(stream)
      announce(stream)
      return new Response(wire.body, { headers: { 'content-type': 'application/x-ndjson' } })
    }
    if (path === '/sync/checkpoint-request') {
      if (!offersRequests) return new Response('not found', { status: 404 })
      const key = `${token.user}/${String(body['client_id'])}`
      return Response.json({
        data: { checkpoint_request_id: String(note(key, Number(body['checkpoint_request_id']))) },
      })
    }
    const key = `${token.user}/${search.get('client_id')}`
    return Response.json({ data: { write_checkpoint: String(note(key, undefined)) } })
  }

  const answerBackend = (init: RequestInit | undefined): Response => {
    if (faults.backend === 'down') throw new TypeError('nobody listens')
    if (faults.backend === 'busy') return busy(503, random.between(1, 30))
    const upload: Upload = JSON.parse(typeof init?.body === 'string' ? init.body : '{}')
    const results = upload.transactions.map(({ tx_id, crud }) => {
      const key = `${upload.client_id} ${tx_id}`
      const status = applied.has(key) ? 'replayed' : 'applied'
      const entries = crud.filter(({ data }) => data.name === REFUSED_NAME)
      for (const { id } of entries) rejected.add(id)
      if (status === 'applied') {
        for (const { id, data } of crud) if (data.name !== REFUSED_NAME) writeAtSource(id, data.name)
      }
      applied.add(key)
      if (entries.length === 0) return { tx_id, status }
      return { tx_id, status: 'rejected', entries: entries.map(({ op_id }) => ({ op_id, code: 'no', message: 'no' })) }
    })
    return Response.json({ results })
  }

  return {
    faults,
    rows,
    rejected,
    writeAtSource,
    tick,
    cutStreams,
    issueToken: (user) => JSON.stringify({ user, endsMs: clock.monotonicMs() + TOKEN_LIFE_MS }),
    fetch: async (input, init) => {
      if (faults.network === 'down') throw new TypeError('no network')
      if (faults.network === 'hang') return new Promise(() => {})
      const { href, pathname, searchParams } = new URL(input instanceof Request ? input.url : input)
      const isUpload = href === UPLOAD_URL
      const response = isUpload ? answerBackend(init) : answerService(pathname, searchParams, init)
      const isLost = faults.network === 'lose-answers' || (isUpload && faults.backend === 'lose-answers')
      if (isLost) throw new TypeError('the line broke')
      return response
    },
    heal: () => {
      Object.assign(faults, { network: 'none', service: 'none', backend: 'none', replication: 'none' } satisfies Faults)
    },
    lose: (what) => {
      noted.clear()
      // Services that choose the numbers keep them as long as anything else.
      if (what === 'numbers' && offersRequests) return
      cutStreams('reset')
      if (what === 'numbers') return
      generation += 1
      log.splice(0, log.length, ...[...rows].map(([id, name], n) => put(n + 1, 'lists', id, { name })))
      // Nothing is shown before the copy of all rows is whole.
      replicated = log.length
    },
  }
}

type Upload = {
  readonly client_id: string
  readonly transactions: readonly {
    readonly tx_id: number
    readonly crud: readonly { readonly op_id: number; readonly id: string; readonly data: { readonly name: string } }[]
  }[]
}

function busy(status: number, seconds: number): Response {
  return new Response('busy', { status, headers: { 'retry-after': String(seconds) } })
}

function readToken(authorization: string | null): Token {
  return JSON.parse(authorization?.replace(/^Token /, '') ?? '{}')
}

function keyOf({ token, wire }: Stream): string {
  return `${token.user}/${String(wire.request['client_id'])}`
}

function positionIn(request: Record<string, unknown>, bucket: string): number {
  const buckets: readonly { name: string; after: string }[] = Array.isArray(request['buckets'])
    ? request['buckets']
    : []
  return Number(buckets.find(({ name }) => name === bucket)?.after ?? 0)
}
