import { HeadwaterError, type RequestObject } from '@headwater/protocol'
import { type Answer, answerData, answerText, type HttpRequest } from './answer.ts'
import { answerCode } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { isOperator } from './operator-token.ts'
import { Places } from './places.ts'
import { readRevocation } from './read-revocation.ts'

/** A sync config is far smaller. */
const BODY_BYTES_MAX = 1024 * 1024

/** Calls of operators ask the source and so take a while; others wait. Clients and probes have places of their own. */
const CALLS = { runningMax: 10, waitingMax: 20 }

type Handler = (request: HttpRequest) => Promise<Answer>

export type OperatorRoutes = { readonly [Name in OperatorRoute]: Handler }

export type OperatorRoute =
  | 'diagnostics'
  | 'schema'
  | 'executeSql'
  | 'reprocess'
  | 'revoke'
  | 'compact'
  | 'compaction'
  | 'validate'
  | 'deployConfig'
  | 'validateConfig'
  | 'currentConfig'
  | 'reprocessConfig'

/** The calls of operators. Who has no token gets nothing read but the headers of the request. */
export function createOperatorRoutes({ operator, nowMs }: Pick<HttpParts, 'operator' | 'nowMs'>): OperatorRoutes {
  const places = new Places(CALLS)
  const call =
    (handle: (request: HttpRequest) => Promise<Answer>): Handler =>
    async (request) => {
      if (!isOperator(request.headers, operator.tokens)) return answerCode('auth-operator')
      request.identified()
      const answer = await places.run(() => handle(request))
      return answer ?? answerCode('too-many-requests', 'Too many calls of operators wait')
    }

  return {
    diagnostics: call(async (request) => {
      const { sync_rules_content: withContent } = await readFields(request)
      if (withContent !== undefined && withContent !== null && typeof withContent !== 'boolean') {
        throw badRequest('sync_rules_content: expected true or false')
      }
      return answerData(await operator.readDiagnostics({ withContent: withContent ?? false }))
    }),
    schema: call(async (request) => {
      await readFields(request)
      return answerData(await operator.readSchema())
    }),
    executeSql: call(async (request) => {
      await readFields(request)
      const results = { columns: [], rows: [] }
      return answerData({ success: false, results, error: 'SQL querying is not enabled' })
    }),
    reprocess: call(async (request) => {
      await readFields(request)
      const { slot_name } = await operator.reprocess()
      return answerData({ connections: [{ id: 'default', tag: 'default', slot_name }] })
    }),
    revoke: call(async (request) =>
      answerData(await operator.revoke(readRevocation(await readFields(request), nowMs()))),
    ),
    compact: call(async (request) => {
      const { wait = true } = await readFields(request)
      if (typeof wait !== 'boolean') throw badRequest('wait: expected true or false')
      return answerData(await operator.compact({ wait }))
    }),
    compaction: call(async () => answerData((await operator.readCompaction()) ?? null)),
    validate: call(async (request) => {
      const { sync_rules: content } = await readFields(request)
      if (typeof content !== 'string') throw badRequest('sync_rules: expected the text of a sync config')
      return answerData(await operator.validate(content))
    }),
    deployConfig: call(async (request) => answerData(await operator.deploy(await readConfig(request)))),
    validateConfig: call(async (request) => answerPretty(operator.describe(await readConfig(request)))),
    currentConfig: call(async () => answerPretty({ data: await operator.readCurrent() })),
    reprocessConfig: call(async (request) => {
      const [field] = Object.keys(await readFields(request))
      if (field !== undefined) throw badRequest(`${field}: expected no fields at all`)
      return answerData(await operator.reprocess())
    }),
  }
}

function readFields(request: HttpRequest): Promise<RequestObject> {
  return request.readParameters({ bytesMax: BODY_BYTES_MAX })
}

/** From a body of YAML, or from the field `content` of a JSON body. */
async function readConfig(request: HttpRequest): Promise<string> {
  const content = await request.readDocument({ bytesMax: BODY_BYTES_MAX }, 'content')
  if (content === undefined) throw badRequest('content: expected the text of a sync config')
  return content
}

/** For people who look at it in a terminal. */
function answerPretty(value: unknown): Answer {
  return answerText(200, `${JSON.stringify(value, null, 2)}\n`, 'application/json')
}

function badRequest(problem: string): HeadwaterError {
  return new HeadwaterError('bad-request', problem)
}
