import { afterAll, beforeAll, expect, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage, SYNC_CONFIG } from './stage.ts'
import { namesOf, openDevice, type TestDevice, type WayName, WAYS } from './ways.ts'

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

test('every client gets its rows anew, under other bucket names, when the sync config was changed', async () => {
  await using clients = await connectAll()
  const changed = SYNC_CONFIG.replace('SELECT * FROM lists', 'SELECT id, upper(name) AS name FROM lists')
  expect(changed).not.toBe(SYNC_CONFIG)

  await stage.deploy(changed)

  await clients.forEach(async ({ name, device, user }) => {
    await device.expectRows('SELECT id, name, owner_id FROM lists ORDER BY id', [
      { id: `${user}L1`, name: 'GROCERIES', owner_id: null },
      { id: `${user}L2`, name: 'ZOË 🛒', owner_id: null },
    ])
    // The oldest release may look for writes only when the next keepalive line comes.
    if (!WAYS[name].knowsPriorities) return
    await device.write([`INSERT INTO lists (id, name, owner_id) VALUES ('${user}L7', 'later', '${user}')`])
    await device.expectRows(`SELECT name FROM lists WHERE id = '${user}L7'`, [{ name: 'LATER' }])
  })
})

type Client = { readonly name: WayName; readonly user: string; readonly device: TestDevice }

type Clients = AsyncDisposable & {
  /** For all at once; fails with the names of those that failed. */
  readonly forEach: (run: (client: Client) => Promise<void>) => Promise<void>
}

/** All releases over all transports at once: what happens to the service happens to all of them. */
async function connectAll(): Promise<Clients> {
  await using opening = new AsyncDisposableStack()
  const open = async (name: WayName): Promise<Client> => {
    const user = await stage.addUser()
    return { name, user, device: opening.use(await openDevice(name, stage.app)) }
  }
  const clients = await Promise.all(namesOf().map(open))
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
