import { isIPv6, type Socket } from 'node:net'
import type { LimitWatch } from '../observe/limit-watch.ts'
import type { Metrics } from '../observe/metrics.ts'
import { Crowd } from './crowd.ts'

/** Connections whose other end has not proven who it is, or has nothing going on any more. */
export type Newcomers = {
  /** As the newest one. When there are too many, the address that has most of them loses its oldest. */
  readonly add: (socket: Socket) => void
  /** It has proven who it is, and a limit of its user counts it from now on. Or it is gone. */
  readonly remove: (socket: Socket) => void
}

export function createNewcomers(parts: {
  readonly newcomersMax: number
  readonly limitWatch: LimitWatch
  readonly metrics: Pick<Metrics, 'set'>
}): Newcomers {
  const { newcomersMax, limitWatch, metrics } = parts
  const crowd = new Crowd<Socket>(newcomersMax, (socket) => {
    limitWatch.reached('newcomers', { address: socket.remoteAddress })
    socket.destroy()
  })
  const note = (): void => metrics.set('headwater_newcomers_count', crowd.taken)
  return {
    add: (socket) => {
      if (socket.destroyed) return
      crowd.add(socket, networkOf(socket.remoteAddress ?? ''))
      note()
    },
    remove: (socket) => {
      crowd.remove(socket)
      note()
    },
  }
}

/** One household has very many addresses of IPv6, which differ in their second half. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address.replace(/^::ffff:/i, '')
  const [before = '', after] = address.split('::')
  const first = before === '' ? [] : before.split(':')
  const last = after === undefined || after === '' ? [] : after.split(':')
  const groups =
    after === undefined ? first : [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last]
  return groups.slice(0, 4).join(':')
}
