/** Releases of `@powersync/web` in headless Chromium, each device in a page of its own. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Chromium, startChromium } from '@headwater/testkit/browser'
import { build, type InlineConfig, preview } from 'vite'
import { type App, type Device } from './device.ts'

export type WebRelease = '2.4' | '1.20' | '0.8'

type Site = AsyncDisposable & { readonly url: string }

const WORKSPACE = join(import.meta.dirname, '../..')

/** Beside the packages that the pages are made of, and gone with them. */
const PAGES = join(WORKSPACE, 'node_modules/.cache/official-pages')

let chromium: Promise<Chromium> | undefined
let lastDatabase = 0
const sites = new Map<WebRelease, Promise<Site>>()

/** Starts the browser, and builds the page of the release, when they are first needed; `closeBrowser` ends both. */
export async function openBrowserDevice(release: WebRelease, app: App): Promise<Device> {
  chromium ??= startChromium()
  const site = sites.get(release) ?? openSite(release)
  sites.set(release, site)
  const [{ context }, { url }] = await Promise.all([chromium, site])
  const page = await context.newPage()
  const said: string[] = []
  page.on('console', (message) => void said.push(message.text()))
  page.on('pageerror', (error) => void said.push(error.message))
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  // Where many pages open at once, one that is exposed before may be missing in the page that then loads.
  await page.exposeFunction('fetchCredentials', app.fetchCredentials)
  await page.exposeFunction('upload', app.upload)
  await page.evaluate((dbFilename) => pageDevices.open(dbFilename), `app-${++lastDatabase}.db`)

  const call = <Name extends keyof Device>(method: Name): Device[Name] =>
    // A page answers with plain values, which is what the methods of a device give.
    ((...parameters: readonly unknown[]) =>
      page.evaluate(([method, parameters]) => pageDevices.call(method, parameters), [
        method,
        parameters,
      ] as const)) as never

  return {
    connect: call('connect'),
    disconnect: call('disconnect'),
    disconnectAndClear: call('disconnectAndClear'),
    readRows: call('readRows'),
    write: call('write'),
    awaitRows: call('awaitRows'),
    follow: call('follow'),
    readFollowed: call('readFollowed'),
    awaitFirstSync: call('awaitFirstSync'),
    subscribe: call('subscribe'),
    unsubscribe: call('unsubscribe'),
    readStatuses: call('readStatuses'),
    readSaid: async () => [...said, ...(await call('readSaid')())],
    close: async () => {
      await call('close')()
      await page.close()
    },
  }
}

export async function closeBrowser(): Promise<void> {
  await (await chromium)?.[Symbol.asyncDispose]()
  for (const site of sites.values()) await (await site)[Symbol.asyncDispose]()
  chromium = undefined
  sites.clear()
}

async function openSite(release: WebRelease): Promise<Site> {
  const { outDir, settings } = await buildPage(release)
  const server = await preview({ ...settings, build: { outDir }, preview: { host: '127.0.0.1', port: 0 } })
  return { url: server.resolvedUrls?.local[0] ?? '', [Symbol.asyncDispose]: () => server.close() }
}

/** As long as what it is made of stays the same it is built once: that takes longer than most tests. */
async function buildPage(release: WebRelease): Promise<{ readonly outDir: string; readonly settings: InlineConfig }> {
  const root = join(import.meta.dirname, 'clients', `web-${release}`)
  const settings = { configFile: false, root, logLevel: 'error' } as const
  const outDir = join(PAGES, `${release}-${await hashSources(root)}`)
  if (existsSync(outDir)) return { outDir, settings }
  await mkdir(PAGES, { recursive: true })
  for (const name of await readdir(PAGES)) {
    if (name.startsWith(`${release}-`)) await rm(join(PAGES, name), { recursive: true })
  }
  const making = await mkdtemp(join(PAGES, 'making-'))
  await build({ ...settings, build: { outDir: making, minify: false, target: 'esnext' }, worker: { format: 'es' } })
  await rename(making, outDir)
  return { outDir, settings }
}

/** Of the page's own files, and of the versions of all packages. */
async function hashSources(root: string): Promise<string> {
  const files = [
    ...['index.html', 'page.ts', 'package.json'].map((name) => join(root, name)),
    ...['browser-device.ts', 'device.ts', 'page-devices.ts'].map((name) => join(import.meta.dirname, name)),
    join(WORKSPACE, 'package-lock.json'),
  ]
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}
