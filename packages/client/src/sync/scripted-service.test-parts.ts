import { encodeBson } from '@headwater/protocol'

/** A service for tests: lines are sent by hand, requests are kept for inspection. */
export class ScriptedService {
  readonly streams: ScriptedStream[] = []
  /** Client ids of those who asked for a new write checkpoint, in either way. */
  readonly writeCheckpointRequests: string[] = []
  /** Every number that a client has chosen, also when it was known already. */
  readonly numbersRequested: string[] = []
  /** The `authorization` headers of those calls that were answered. */
  readonly tokensOfNumbers: (string | null)[] = []
  /** False: a service from before clients could choose numbers. */
  offersRequests = true
  /** The newest of the client. */
  writeCheckpoint = 0
  /** Runs before a write checkpoint is answered. */
  beforeWriteCheckpoint: () => Promise<void> = () => Promise.resolve()
  /** What the next calls are answered with, before anything else is. */
  readonly refusals: (() => Response | Error)[] = []
  /** Answers a call of a path in the service's place. */
  refuse: (path: string) => Response | Error | undefined = () => undefined
  format: 'ndjson' | 'bson' = 'ndjson'
  /** What the answer says of its form. */
  contentType: () => string | undefined = () =>
    this.format === 'bson' ? 'application/vnd.powersync.bson-stream' : 'application/x-ndjson'
  #opened = Promise.withResolvers<void>()

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const headers = new Headers(init?.headers)
    const refusal = this.refuse(url.pathname) ?? this.refusals.shift()?.()
    if (refusal instanceof Error) throw refusal
    if (refusal !== undefined) return refusal
    if (url.pathname === '/write-checkpoint2.json') {
      this.writeCheckpointRequests.push(url.searchParams.get('client_id') ?? '')
      this.writeCheckpoint += 1
      const answer = String(this.writeCheckpoint)
      await this.beforeWriteCheckpoint()
      return Response.json({ data: { write_checkpoint: answer } })
    }
    if (url.pathname === '/sync/checkpoint-request') {
      if (!this.offersRequests) return new Response('no such path', { status: 404 })
      this.tokensOfNumbers.push(headers.get('authorization'))
      return this.#noteNumber(JSON.parse(typeof init?.body === 'string' ? init.body : '{}'))
    }
    const stream = new ScriptedStream(
      JSON.parse(typeof init?.body === 'string' ? init.body : '{}'),
      headers,
      this.format,
      init?.signal ?? undefined,
    )
    this.streams.push(stream)
    this.#opened.resolve()
    this.#opened = Promise.withResolvers()
    const type = this.contentType()
    return new Response(stream.body, { headers: type === undefined ? {} : { 'content-type': type } })
  }

  async #noteNumber(request: { client_id: string; checkpoint_request_id: string }): Promise<Response> {
    const number = Number(request.checkpoint_request_id)
    this.numbersRequested.push(request.checkpoint_request_id)
    if (number > this.writeCheckpoint) {
      this.writeCheckpoint = number
      this.writeCheckpointRequests.push(request.client_id)
    }
    const answer = String(this.writeCheckpoint)
    await this.beforeWriteCheckpoint()
    return Response.json({ data: { checkpoint_request_id: answer } })
  }

  /** The n-th stream that was opened, counting from 0; waits for it. */
  async stream(index: number): Promise<ScriptedStream> {
    for (;;) {
      const stream = this.streams[index]
      if (stream !== undefined) return stream
      await this.#opened.promise
    }
  }
}

export class ScriptedStream {
  readonly request: Record<string, unknown>
  readonly headers: Headers
  readonly body: ReadableStream<Uint8Array>
  readonly #format: 'ndjson' | 'bson'
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  closedByClient = false

  constructor(
    request: Record<string, unknown>,
    headers: Headers,
    format: 'ndjson' | 'bson',
    signal: AbortSignal | undefined,
  ) {
    this.request = request
    this.headers = headers
    this.#format = format
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller
      },
      cancel: () => {
        this.closedByClient = true
      },
    })
    signal?.addEventListener('abort', () => {
      if (this.closedByClient) return
      this.closedByClient = true
      this.#controller?.error(new DOMException('aborted', 'AbortError'))
    })
  }

  /** Sends lines; a text goes out as it is. */
  send(...lines: readonly (object | string)[]): void {
    for (const line of lines) this.sendBytes(this.#encode(line))
  }

  /** Sends a line that lacks its end. */
  sendCut(line: object): void {
    this.sendBytes(this.#encode(line).subarray(0, -2))
  }

  sendBytes(bytes: Uint8Array): void {
    this.#controller?.enqueue(bytes)
  }

  end(): void {
    this.#controller?.close()
  }

  break(): void {
    this.#controller?.error(new TypeError('network down'))
  }

  #encode(line: object | string): Uint8Array {
    if (this.#format === 'bson' && typeof line === 'object') return encodeBson({ ...line })
    return new TextEncoder().encode(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
  }
}

export type WireOperation = {
  readonly op_id: string
  readonly op: 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR'
  readonly checksum: number
  readonly object_type?: string
  readonly object_id?: string
  readonly subkey?: string
  readonly data?: string
}

export function put(opId: number, type: string, id: string, data: object, subkey = 's'): WireOperation {
  return {
    op_id: String(opId),
    op: 'PUT',
    object_type: type,
    object_id: id,
    checksum: checksumOf(opId),
    subkey,
    data: JSON.stringify({ id, ...data }),
  }
}

export function remove(opId: number, type: string, id: string, subkey = 's'): WireOperation {
  return { op_id: String(opId), op: 'REMOVE', object_type: type, object_id: id, checksum: checksumOf(opId), subkey }
}

/** Any number does, as long as both sides add up the same ones. */
function checksumOf(opId: number): number {
  return Math.imul(opId, 2_654_435_761) >>> 0
}

export function sumOf(operations: readonly WireOperation[]): number {
  return operations.reduce((sum, { checksum }) => (sum + checksum) | 0, 0)
}

export function dataLine(bucket: string, operations: readonly WireOperation[]): object {
  return {
    data: {
      bucket,
      after: '0',
      has_more: false,
      data: operations,
      next_after: operations.at(-1)?.op_id ?? '0',
    },
  }
}

export type WireBucket = {
  readonly bucket: string
  readonly checksum: number
  readonly count: number
  readonly priority: number
  readonly subscriptions: readonly object[]
}

/** The entry of a bucket that holds these operations, or that adds up to a number. */
export function bucketEntry(bucket: string, operations: readonly WireOperation[] | number, priority = 3): WireBucket {
  const [checksum, count] = typeof operations === 'number' ? [operations, 1] : [sumOf(operations), operations.length]
  return { bucket, checksum, count, priority, subscriptions: [{ default: 0 }] }
}

export function checkpointLine(
  lastOpId: number,
  buckets: readonly WireBucket[],
  more: { readonly write_checkpoint?: string } = {},
): object {
  const streams = [{ name: 'all', is_default: true, errors: [] }]
  return { checkpoint: { last_op_id: String(lastOpId), buckets, streams, ...more } }
}

export function diffLine(
  lastOpId: number,
  updated: readonly WireBucket[],
  more: { readonly write_checkpoint?: string; readonly removed_buckets?: readonly string[] } = {},
): object {
  return {
    checkpoint_diff: { last_op_id: String(lastOpId), updated_buckets: updated, removed_buckets: [], ...more },
  }
}

export function completeLine(lastOpId: number): object {
  return { checkpoint_complete: { last_op_id: String(lastOpId) } }
}

export function partialLine(lastOpId: number, priority: number): object {
  return { partial_checkpoint_complete: { last_op_id: String(lastOpId), priority } }
}
