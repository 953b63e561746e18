import type { IncomingHttpHeaders } from 'node:http'

/** What the client says it is. Browsers do not let it set `User-Agent`, so another header goes first. */
export function readUserAgent(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['x-user-agent']
  return typeof own === 'string' ? own : headers['user-agent']
}
