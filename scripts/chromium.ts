import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'

/** A Chromium on this machine: the one that `CHROMIUM` names, else the first on the PATH. */
export function findChromium(): string | undefined {
  const named = process.env['CHROMIUM']
  if (named !== undefined && named !== '') return named
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
  if (found !== undefined) return found
  return existsSync(MAC) ? MAC : undefined
}

export type Chromium =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'missing'; readonly remedy: string }

/** Finds Chromium, or installs Debian's package where that is possible: as root, with apt-get. */
export function ensureChromium(say: (text: string) => void): Chromium {
  const path = findChromium()
  if (path !== undefined) return { kind: 'found', path }
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    say('Installing Chromium from Debian (about a minute) …')
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    spawnSync('apt-get', ['update', '-qq'], { env: environment, stdio: 'ignore' })
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], {
      env: environment,
      stdio: 'ignore',
    })
    const installed = findChromium()
    if (installed !== undefined) return { kind: 'found', path: installed }
  }
  return {
    kind: 'missing',
    remedy:
      'Install Chromium (on Debian: `apt-get install chromium`), or set CHROMIUM to the path of a Chromium or Chrome.',
  }
}

/** What headless Chromium needs on a server without a display, as root, without a network. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
