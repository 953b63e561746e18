import { HeadwaterError } from '@headwater/protocol'
import type { Credentials } from '../connector.ts'

/** The app's credentials, fetched when needed and kept until they are refused. Many who need them share one fetch. */
export class CredentialCache {
  readonly #fetch: () => Promise<Credentials | null>
  #known: Credentials | undefined
  #fetching: Promise<Credentials> | undefined

  constructor(fetch: () => Promise<Credentials | null>) {
    this.#fetch = fetch
  }

  /** Of the credentials in use; undefined when there are none. */
  get token(): string | undefined {
    return this.#known?.token
  }

  /** Throws `not-signed-in` or `bad-endpoint`, or what the app's function throws. */
  read(): Promise<Credentials> {
    return this.#known === undefined ? this.renew() : Promise.resolve(this.#known)
  }

  /** Fetches even though some are known; those stay if it fails. */
  renew(): Promise<Credentials> {
    this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  /** Forgets credentials that the service refused; newer ones stay. */
  discard(token: string | undefined): void {
    if (token === undefined || this.#known?.token === token) this.#known = undefined
  }

  async #fetchNow(): Promise<Credentials> {
    const credentials = await this.#fetch()
    if (credentials === null) throw new HeadwaterError('not-signed-in', 'Not signed in')
    checkEndpoint(credentials.endpoint)
    this.#known = credentials
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
