import { afterAll, beforeAll, expect, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice, type TestDevice } from './ways.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

const LISTS = 'SELECT id, name FROM lists ORDER BY id'

test('every client goes on after the service was killed, or stopped in good order, and started again', async () => {
  await using clients = await connectAll()

  await stage.service.kill()
  await stage.database.sql(`UPDATE lists SET name = 'Changed meanwhile' WHERE id LIKE '%L1'`)
  await stage.service.start()
  await clients.forEach(({ device, user }) =>
    device.expectRows(LISTS, [
      { id: `${user}L1`, name: 'Changed meanwhile' },
      { id: `${user}L2`, name: 'Zoë 🛒' },
    ]),
  )

  expect(await stage.service.stop()).toBe(0)
  await stage.database.sql(`UPDATE lists SET name = 'Changed again' WHERE id LIKE '%L1'`)
  await stage.service.start()
  await clients.forEach(({ device, user }) =>
    device.expectRows(LISTS, [
      { id: `${user}L1`, name: 'Changed again' },
      { id: `${user}L2`, name: 'Zoë 🛒' },
    ]),
  )
})

type Client = { readonly name: string; readonly user: string; readonly device: TestDevice }

type Clients = AsyncDisposable & {
  /** For all at once; fails with the names of those that failed. */
  readonly forEach: (run: (client: Client) => Promise<void>) => Promise<void>
}

/** All releases over all transports at once: what happens to the service happens to all of them. */
async function connectAll(): Promise<Clients> {
  await using opening = new AsyncDisposableStack()
  const clients: Client[] = []
  for (const name of namesOf()) {
    clients.push({ name, user: await stage.addUser(), device: opening.use(await openDevice(name, stage.app)) })
  }
  const forEach = async (run: (client: Client) => Promise<void>): Promise<void> => {
    const failures: string[] = []
    const runNamed = async (client: Client): Promise<void> => {
      try {
        await run(client)
      } catch (error) {
        failures.push(`${client.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    await Promise.all(clients.map(runNamed))
    expect(failures).toEqual([])
  }
  await forEach(async ({ device, user }) => {
    await device.connect(user)
    await device.expectRows('SELECT count(*) AS lists FROM lists', [{ lists: 2 }])
  })
  const opened = opening.move()
  return { forEach, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
