import { column, Schema, Table } from '@headwater/client/web'

const lists = new Table({ name: column.text, owner_id: column.text, created_at: column.text })

const list_members = new Table({ list_id: column.text, user_id: column.text }, { indexes: { by_list: ['list_id'] } })

const todos = new Table(
  {
    list_id: column.text,
    description: column.text,
    completed: column.integer,
    created_by: column.text,
    created_at: column.text,
  },
  { indexes: { by_list: ['list_id'] } },
)

/** The tables on the device: each has an `id` as well. They fill with the rows that sync-config.yaml gives the user. */
export const schema = new Schema({ lists, list_members, todos })

export type List = (typeof schema)['types']['lists']
export type Todo = (typeof schema)['types']['todos']
