import { compileSyncConfig, describePlan, type TablePattern } from '@headwater/sync-config'
import type { DeployedConfig, DescribedConfig } from './http/operator.ts'

/** What a config does, for people. */
export function describeConfig(content: string): DescribedConfig {
  const result = compileSyncConfig(content)
  if (result.kind === 'refused') {
    return {
      valid: false,
      errors: result.diagnostics.map(({ line, column, message }) => `${line}:${column}: ${message}`),
    }
  }
  const { streams, dataTables, lookupTables, outputs } = describePlan(result.plan)
  const labelOf = ({ schema, name }: TablePattern): string => `${schema}.${name}`
  return {
    valid: true,
    bucket_definitions: streams.map(({ name, isDefault, priority }) => ({ name, is_default: isDefault, priority })),
    source_tables: result.plan.tables.map(labelOf),
    data_tables: [
      {
        from: dataTables.map(labelOf),
        decided_by: lookupTables.map(labelOf),
        on_client: outputs.map((name) => name ?? '(as at the source)'),
      },
    ],
  }
}

export function describeDeployed(slot: string, content: string): DeployedConfig {
  const described = describeConfig(content)
  const { valid, bucket_definitions, source_tables, data_tables } = described.valid
    ? described
    : { valid: false, bucket_definitions: [], source_tables: [], data_tables: [] }
  return { slot_name: slot, content, valid, bucket_definitions, source_tables, data_tables }
}
