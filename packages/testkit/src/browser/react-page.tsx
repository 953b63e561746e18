/** The page of the hooks' browser tests: mounts one component that calls a hook, and keeps what it rendered. */
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { DatabaseContext, useDatabase, useQuery, useStatus, type UseQueryOptions } from '@headwater/client/react'
import {
  column,
  HeadwaterDatabase,
  Schema,
  Table,
  type Query as DatabaseQuery,
  type QueryDefinition,
  type QueryParam,
  type SqliteRecord,
} from '@headwater/client/web'

declare global {
  var reactPage: typeof page
}

type QueryProps = {
  readonly sql: string
  readonly parameters?: readonly QueryParam[]
  readonly options?: UseQueryOptions<SqliteRecord>
}
type Rendered = ReturnType<typeof useQuery>

const schema = new Schema({ todos: new Table({ title: column.text, done: column.integer }) })
const renders: Rendered[] = []
let watchedNow = 0
let watchedEver = 0

/** Counts what is watched, so that a leak shows. */
class CountingDatabase extends HeadwaterDatabase<typeof schema> {
  override query<Row = SqliteRecord>(definition: QueryDefinition<Row>): DatabaseQuery<Row> {
    const query = super.query(definition)
    const count = <Watched extends { registerListener: (listener: { closed: () => void }) => unknown }>(
      watched: Watched,
    ): Watched => {
      watchedNow += 1
      watchedEver += 1
      watched.registerListener({
        closed: () => {
          watchedNow -= 1
        },
      })
      return watched
    }
    return {
      watch: (options) => count(query.watch(options)),
      differentialWatch: (options) => count(query.differentialWatch(options)),
    }
  }
}

function Query({ sql, parameters, options }: QueryProps): string {
  // A new array at each render, as components write it.
  const result = useQuery(sql, parameters === undefined ? undefined : [...parameters], options)
  renders.push(result)
  return JSON.stringify(result.data)
}

function Status(): string {
  return useStatus((status) => (status.connected ? 'connected' : 'not connected'))
}

function Life(): string {
  return useDatabase().closed ? 'closed' : 'open'
}

function openRoot() {
  const element = document.createElement('div')
  document.body.append(element)
  return { element, root: createRoot(element) }
}

const page = {
  renders,
  counts: () => ({ watchedNow, watchedEver }),
  openDatabase: (dbFilename: string) => new CountingDatabase({ schema, database: { dbFilename } }),
  /** Renders a query, under StrictMode. `database: null` leaves the provider out. */
  mountQuery: (database: HeadwaterDatabase | null, first: QueryProps) => {
    const { root, element } = openRoot()
    const render = (props: QueryProps): void => {
      const query = <Query {...props} />
      root.render(
        <StrictMode>
          {database === null ? query : <DatabaseContext value={database}>{query}</DatabaseContext>}
        </StrictMode>,
      )
    }
    render(first)
    return { render, unmount: () => root.unmount(), text: () => element.textContent ?? '' }
  },
  mountOthers: (database: HeadwaterDatabase) => {
    const { root, element } = openRoot()
    root.render(
      <StrictMode>
        <DatabaseContext value={database}>
          <Status /> <Life />
        </DatabaseContext>
      </StrictMode>,
    )
    return { text: () => element.textContent ?? '', unmount: () => root.unmount() }
  },
  /** Waits until `is` holds; says what it waited for when it never does. */
  until: async (is: () => boolean, what: string): Promise<void> => {
    const startedMs = performance.now()
    while (!is()) {
      if (performance.now() - startedMs > 10_000) throw new Error(`Waited 10 s for: ${what}`)
      await new Promise((resolve) => requestAnimationFrame(resolve))
    }
  },
}

globalThis.reactPage = page
