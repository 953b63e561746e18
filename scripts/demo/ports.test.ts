import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { choosePort } from './ports.ts'

test('a free port is taken as it is, and a taken one is replaced by a free one', async () => {
  const free = await choosePort(0)
  expect(await choosePort(free)).toBe(free)

  const other = createServer()
  await new Promise<void>((resolve) => {
    other.listen(free, '127.0.0.1', resolve)
  })
  const replaced = await choosePort(free)
  other.close()
  expect(replaced).not.toBe(free)
  expect(replaced).toBeGreaterThan(0)
})
