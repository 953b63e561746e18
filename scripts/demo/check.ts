import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { CHROMIUM_FLAGS, ensureChromium } from '../chromium.ts'
import { openPane, type Pane } from './pane.ts'
import { startDemo, type Demo } from './start-demo.ts'

export type CheckOptions = {
  /** The folder for the pictures; what it held before is removed. */
  readonly screenshots: string
  readonly print: (line: string) => void
}

const LIST = 'Weekend at the lake'
const WINDOW = { width: 1440, height: 860 }

/**
 * Does by itself what a visitor of the demo would do, in a database of its own, and prints a line per step with its
 * time. Rejects with what did not happen; what it started is stopped in any case.
 */
export async function checkDemo({ screenshots, print }: CheckOptions): Promise<void> {
  const browser = ensureChromium(print)
  if (browser.kind === 'missing') throw new Error(`Cannot check the demo without a browser. ${browser.remedy}`)
  await rm(screenshots, { recursive: true, force: true })
  await mkdir(screenshots, { recursive: true })
  const step = createStepper(print)
  await using folder = await makeFolder()
  const profile = join(folder.path, 'profile')
  const demoFolder = join(folder.path, 'demo')
  const start = () => startDemo({ folder: demoFolder, say: () => {} })
  const launch = () => launchBrowser(browser.path, profile)

  let demo = await step('Postgres, the service and the app start', start)
  let context: BrowserContext | undefined
  try {
    context = await launch()
    const tour = { demo, page: await context.newPage(), step, screenshots }
    await visit(tour)
    await writeOnline(tour)
    await writeOffline(tour)
    await openSecondTab({ ...tour, context })

    await step('everything stops', demo.stop)
    await context.close()
    context = undefined
    demo = await step('everything starts again, on the same data', start)
    context = await launch()
    await comeBack({ ...tour, demo, page: await context.newPage() })
  } catch (error) {
    await context
      ?.pages()
      .at(-1)
      ?.screenshot({ path: join(screenshots, 'failed.png') })
    throw error
  } finally {
    await context?.close()
    await demo.stop()
  }
  print(`The pictures are in ${screenshots}`)
}

type Step = <Result>(text: string, work: () => Promise<Result>) => Promise<Result>
type Tour = { readonly demo: Demo; readonly page: Page; readonly step: Step; readonly screenshots: string }
type Panes = { readonly ann: Pane; readonly bob: Pane }

async function visit({ demo, page, step, screenshots }: Tour): Promise<Panes> {
  const panes = await step('the app opens and both devices are in step', async () => {
    await page.goto(demo.appUrl)
    const opened = openPanes(page)
    await inBoth(opened, (pane) => pane.waitUntilInStep())
    await inBoth(opened, (pane) => pane.openList(LIST))
    return opened
  })
  await page.screenshot({ path: join(screenshots, '1-in-step.png') })
  await page.emulateMedia({ colorScheme: 'dark' })
  // Without it the picture would be taken while the colours change.
  await page.screenshot({ path: join(screenshots, '2-dark.png'), animations: 'disabled' })
  await page.emulateMedia({ colorScheme: 'light' })
  return panes
}

async function writeOnline({ demo, page, step, screenshots }: Tour): Promise<void> {
  const { ann, bob } = openPanes(page)
  await ann.addTodo('Pack the good tent')
  await step('what Ann adds is on Bob’s device', () => bob.waitForTodo('Pack the good tent'))
  await bob.toggleTodo('Pack the good tent')
  await step('what Bob completes is completed on Ann’s device', () => ann.waitForTodo('Pack the good tent', 'done'))
  await page.screenshot({ path: join(screenshots, '3-online.png') })
  await querySql(
    demo,
    `INSERT INTO todos (list_id, description) SELECT id, 'Written in SQL' FROM lists WHERE name = '${LIST}'`,
  )
  await step('a row inserted with SQL is on both devices', () =>
    inBoth({ ann, bob }, (pane) => pane.waitForTodo('Written in SQL')),
  )
  await ann.openList('Ann’s reading')
  await ann.share('Share with Bob')
  await step('a list that Ann shares is on Bob’s device, with its todos', async () => {
    await bob.openList('Ann’s reading')
    await bob.waitForTodo('The Living Mountain')
  })
  await inBoth({ ann, bob }, (pane) => pane.openList(LIST))
}

async function writeOffline({ demo, page, step, screenshots }: Tour): Promise<void> {
  const { ann, bob } = openPanes(page)
  await step('both devices go offline and both write, also to the same rows', async () => {
    await inBoth({ ann, bob }, (pane) => pane.flipSwitch())
    await ann.addTodo('From Ann, offline')
    await ann.renameTodo('Check the canoe for leaks', 'Check the canoe twice')
    await ann.renameTodo('Borrow two more life jackets', 'Borrow life jackets, says Ann')
    await bob.addTodo('From Bob, offline')
    await bob.toggleTodo('Check the canoe for leaks')
    await bob.renameTodo('Borrow two more life jackets', 'Borrow life jackets, says Bob')
    await inBoth({ ann, bob }, (pane) => pane.waitUntilWaiting(3))
    await inBoth({ ann, bob }, (pane) => pane.showWaiting())
  })
  await page.screenshot({ path: join(screenshots, '4-offline.png') })
  await inBoth({ ann, bob }, (pane) => pane.flipSwitch())
  await step('back online, what both wrote is merged on both devices and in Postgres', async () => {
    await inBoth({ ann, bob }, async (pane) => {
      await pane.waitUntilUploaded()
      await pane.waitForTodo('From Ann, offline')
      await pane.waitForTodo('From Bob, offline')
      await pane.waitForTodo('Check the canoe twice', 'done')
    })
    await expectSame(demo, { ann, bob })
  })
  await page.screenshot({ path: join(screenshots, '5-merged.png') })
}

async function openSecondTab(tour: Tour & { readonly context: BrowserContext }): Promise<void> {
  const { demo, step, screenshots, context } = tour
  const second = await context.newPage()
  await step('a second tab says that the first one has the databases', async () => {
    await second.goto(demo.appUrl)
    await second.getByText('it is open in another tab').first().waitFor()
  })
  await second.screenshot({ path: join(screenshots, '6-second-tab.png') })
  await second.close()
}

async function comeBack({ demo, page, step, screenshots }: Tour): Promise<void> {
  const { ann, bob } = openPanes(page)
  await step('the devices and Postgres have kept what they had', async () => {
    await page.goto(demo.appUrl)
    await inBoth({ ann, bob }, async (pane) => {
      await pane.waitUntilInStep()
      await pane.openList(LIST)
      await pane.waitForTodo('From Ann, offline')
    })
    await expectSame(demo, { ann, bob })
  })
  await bob.addTodo('After the restart')
  await step('and go on as before', () => ann.waitForTodo('After the restart'))
  await page.screenshot({ path: join(screenshots, '7-after-restart.png') })
}

/** Both panes show what Postgres has, in the same order. */
async function expectSame(demo: Demo, { ann, bob }: Panes): Promise<void> {
  const sql = `SELECT todos.description FROM todos JOIN lists ON lists.id = list_id WHERE lists.name = '${LIST}'
    ORDER BY completed, todos.created_at, todos.id`
  const deadlineMs = performance.now() + 10_000
  for (;;) {
    const rows = (await querySql(demo, sql)).map((row) => String(row['description']))
    const [annRows, bobRows] = await inBoth({ ann, bob }, (pane) => pane.readTodos())
    const [source, onAnn, onBob] = [rows, annRows, bobRows].map((each) => JSON.stringify(each))
    if (source === onAnn && source === onBob) return
    if (performance.now() > deadlineMs) {
      throw new Error(`The devices and Postgres differ.\n  Postgres: ${source}\n  Ann: ${onAnn}\n  Bob: ${onBob}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function openPanes(page: Page): Panes {
  return { ann: openPane(page, 'Ann'), bob: openPane(page, 'Bob') }
}

/** One after the other: the page has one mouse and one keyboard. */
async function inBoth<Result>({ ann, bob }: Panes, work: (pane: Pane) => Promise<Result>): Promise<[Result, Result]> {
  return [await work(ann), await work(bob)]
}

async function querySql(demo: Demo, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: demo.postgresUrl })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

function launchBrowser(executablePath: string, profile: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: WINDOW,
    args: [...CHROMIUM_FLAGS],
  })
}

/** Does a step and prints it with its time. A step that fails says which one it was. */
function createStepper(print: (line: string) => void): Step {
  return async (text, work) => {
    const startedMs = performance.now()
    try {
      const result = await work()
      print(`${`${Math.round(performance.now() - startedMs)} ms`.padStart(9)}  ${text}`)
      return result
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`FAILED after ${Math.round(performance.now() - startedMs)} ms: ${text}\n${reason}`, {
        cause: error,
      })
    }
  }
}

async function makeFolder() {
  const path = await mkdtemp(join(tmpdir(), 'headwater-demo-check-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }),
  }
}
