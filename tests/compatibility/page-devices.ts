/** The page's end of the pipe: opens one device and calls it by the names of its methods. */
import { type App, createDevice, createOfficialLogger, type Device, type OfficialDatabase } from './device.ts'

export type PageDevices = {
  readonly open: (dbFilename: string) => void
  readonly call: (method: keyof Device, parameters: readonly unknown[]) => Promise<unknown>
}

declare global {
  var pageDevices: PageDevices
  /** Given by the test. */
  var fetchCredentials: App['fetchCredentials']
  var upload: App['upload']
}

/** Called once by each page; `open` makes a database of the release that the page is about. */
export function servePageDevices(open: (dbFilename: string, logger: object) => OfficialDatabase): void {
  let device: Device | undefined
  globalThis.pageDevices = {
    open: (dbFilename) => {
      const said: string[] = []
      device = createDevice(open(dbFilename, createOfficialLogger(said)), { fetchCredentials, upload }, said)
    },
    call: (method, parameters) => {
      if (device === undefined) throw new Error('Cannot call a device before it was opened')
      const run = device[method] as (...parameters: readonly unknown[]) => Promise<unknown>
      return run(...parameters)
    },
  }
  document.title = 'ready'
}
