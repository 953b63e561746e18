import { HeadwaterError } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { createLog, type LogOptions } from './log.ts'

describe('the log', () => {
  test('writes one JSON object per event: time, level, event and fields', () => {
    const { log, lines } = openLog({ level: 'info' })
    log.info('checkpoint-shown', { upTo: 52n, lagMs: 3 })
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'checkpoint-shown',
      upTo: '52',
      lagMs: 3,
    })
  })

  test('leaves out what is below its level', () => {
    const { log, lines } = openLog({ level: 'warn' })
    log.debug('a')
    log.info('b')
    log.warn('c')
    log.error('d')
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['c', 'd'])
  })

  test('writes a line for people when asked to, or when the output is a terminal', () => {
    for (const options of [{ pretty: true }, { isTerminal: true }]) {
      const { log, lines } = openLog({ level: 'info', ...options })
      log.warn('source-lost', { error: new HeadwaterError('internal', 'Cannot go on'), host: 'db', why: 'a b' })
      expect(lines[0]).toMatch(
        /^\d\d:\d\d:\d\d\.\d{3} warn {2}source-lost error="\[internal\] Cannot go on" host=db why="a b"\n$/,
      )
    }
  })

  test('never shows secrets: neither by name, nor inside a URL, nor in the message of an error', () => {
    const { log, lines } = openLog({ level: 'info' })
    log.error('bad', {
      auth: { secret: 'hunter2', keys: [{ k: 1, d: 'hunter2' }] },
      headers: { Authorization: 'Bearer hunter2' },
      url: 'postgresql://user:hunter2@host:5432/db',
      error: new Error('connect to postgresql://user:hunter2@host failed', { cause: { password: 'hunter2' } }),
    })
    expect(lines[0]).not.toContain('hunter2')
    expect(lines[0]).toContain('postgresql://user:[redacted]@host:5432/db')
  })

  test('keeps the code, the stack and the causes of an error', () => {
    const { log, lines } = openLog({ level: 'info' })
    const cause = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    log.error('append-failed', { error: new HeadwaterError('storage-full', 'Cannot append', { cause }) })
    expect(JSON.parse(lines[0] ?? '').error).toMatchObject({
      code: 'storage-full',
      message: 'Cannot append',
      stack: expect.stringContaining('log.test'),
      cause: { code: 'ENOSPC', message: 'no space' },
    })
  })

  test('bounds what one event can hold', () => {
    const { log, lines } = openLog({ level: 'info' })
    const circle: Record<string, unknown> = { text: 'x'.repeat(1_000_000), items: Array.from({ length: 100_000 }) }
    circle['self'] = circle
    log.info('large', circle)
    expect(lines[0]?.length).toBeLessThan(100_000)
  })
})

function openLog({ isTerminal = false, ...options }: Omit<LogOptions, 'output'> & { isTerminal?: boolean }): {
  log: ReturnType<typeof createLog>
  lines: string[]
} {
  const lines: string[] = []
  const write = (line: string): void => {
    lines.push(line)
  }
  return { log: createLog({ ...options, output: { isTerminal, write } }), lines }
}
