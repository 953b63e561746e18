import { HeadwaterError } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { Credentials } from '../connector.ts'

/** After that long the app's function may never answer: the next who needs credentials has it called again. */
export const FETCH_CREDENTIALS_MAX_MS = 60_000

/** The app's credentials, fetched when needed and kept until they are refused. Many who need them share one fetch. */
export class CredentialCache {
  readonly #fetch: () => Promise<Credentials | null>
  readonly #clock: Clock
  #known: Credentials | undefined
  #fetching: Promise<Credentials> | undefined
  #calls = 0
  /** Which call brought what is known: one that was given up must not bring back older ones. */
  #knownFromCall = 0

  constructor(fetch: () => Promise<Credentials | null>, clock: Clock) {
    this.#fetch = fetch
    this.#clock = clock
  }

  /** Of the credentials in use; undefined when there are none. */
  get token(): string | undefined {
    return this.#known?.token
  }

  /** Throws `not-signed-in`, `bad-endpoint` or `sync-interrupted` (no answer in time), or what the app's function throws. */
  read(): Promise<Credentials> {
    return this.#known === undefined ? this.renew() : Promise.resolve(this.#known)
  }

  /** Fetches even though some are known; those stay if it fails. */
  renew(): Promise<Credentials> {
    this.#fetching ??= this.#inTime(this.#fetchNow()).finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  /** Forgets credentials that the service refused; newer ones stay. */
  discard(token: string | undefined): void {
    if (token === undefined || this.#known?.token === token) this.#known = undefined
  }

  /** What comes too late is kept all the same, for those who ask after that. */
  async #inTime(fetching: Promise<Credentials>): Promise<Credentials> {
    const settled = new AbortController()
    const late = this.#clock.wait(FETCH_CREDENTIALS_MAX_MS, settled.signal).then((): never => {
      const silence = `fetchCredentials() has not answered for ${FETCH_CREDENTIALS_MAX_MS / 1000} seconds`
      throw new HeadwaterError('sync-interrupted', `Cannot sync: ${silence}`)
    })
    try {
      return await Promise.race([fetching, late])
    } finally {
      late.catch(() => undefined)
      settled.abort()
    }
  }

  async #fetchNow(): Promise<Credentials> {
    this.#calls += 1
    const call = this.#calls
    const credentials = await this.#fetch()
    if (credentials === null) throw new HeadwaterError('not-signed-in', 'Not signed in')
    checkEndpoint(credentials.endpoint)
    if (call > this.#knownFromCall) {
      this.#known = credentials
      this.#knownFromCall = call
    }
    return credentials
  }
}

function checkEndpoint(endpoint: string): void {
  const quoted = JSON.stringify(endpoint)
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw new HeadwaterError('bad-endpoint', `Cannot use the endpoint: expected an http(s) address, got ${quoted}`)
  }
  if (endpoint.endsWith('/')) {
    throw new HeadwaterError('bad-endpoint', `Cannot use the endpoint ${quoted}: leave out the slash at its end`)
  }
}
