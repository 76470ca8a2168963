//! `mode` and `histogram`, by the number of occurrences of each value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::{canonical, refuse_distinct};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Counts {
    name: &'static str,
    signature: Signature,
}

const MODE: &str = "mode";

impl Counts {
    pub(super) fn mode() -> Self {
        Self { name: MODE, signature: Signature::any(1, Volatility::Immutable) }
    }

    pub(super) fn histogram() -> Self {
        Self { name: "histogram", ..Self::mode() }
    }
}

/// `{value, count}`.
fn bin(value: &DataType) -> Fields {
    vec![Field::new("value", value.clone(), true), Field::new("count", DataType::Int64, true)].into()
}

impl AggregateUDFImpl for Counts {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [value] = arguments else { return internal_err!("`{}` takes one argument", self.name) };
        Ok(match self.name {
            MODE => value.clone(),
            _ => DataType::List(Arc::new(Field::new_list_field(DataType::Struct(bin(value)), true))),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(&args)?;
        let tally = CountTally::new(args.expr_fields[0].data_type())?;
        Ok(Box::new(Counting { tally, is_mode: self.name == MODE }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(state_fields(args.name, args.input_fields[0].data_type()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The state fields of a [`CountTally`].
pub(super) fn state_fields(name: &str, value: &DataType) -> Vec<FieldRef> {
    let list = |part: &str, of: &DataType| {
        Arc::new(Field::new_list(format_state_name(name, part), Field::new_list_field(of.clone(), true), true))
    };
    vec![list("values", value), list("counts", &DataType::Int64)]
}

/// The number of occurrences of each value.
#[derive(Debug)]
pub(super) struct CountTally {
    value: DataType,
    converter: RowConverter,
    /// Occurrences by the value's sort key.
    pub(super) counts: HashMap<Box<[u8]>, i64>,
    bytes: usize,
}

/// Bytes of an entry besides its key.
const ENTRY: usize = 48;

impl CountTally {
    pub(super) fn new(value: &DataType) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(value.clone())])?;
        Ok(Self { value: value.clone(), converter, counts: HashMap::new(), bytes: 0 })
    }

    /// Counts the values that are not null; `times` gives the weight of a row.
    pub(super) fn add(&mut self, values: &ArrayRef, times: impl Fn(usize) -> i64) -> Result<()> {
        let values = canonical(values);
        let keys = self.converter.convert_columns(&[Arc::clone(&values)])?;
        let nulls = values.logical_nulls();
        for (row, key) in keys.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            match self.counts.get_mut(key.data()) {
                Some(count) => *count = count.saturating_add(times(row)),
                None => {
                    self.bytes += key.data().len() + ENTRY;
                    self.counts.insert(key.data().into(), times(row));
                }
            }
        }
        Ok(())
    }

    /// Keeps the entries for which `keep` returns true.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut i64) -> bool) {
        let bytes = &mut self.bytes;
        self.counts.retain(|key, count| {
            let kept = keep(count);
            if !kept {
                *bytes = bytes.saturating_sub(key.len() + ENTRY);
            }
            kept
        });
    }

    pub(super) fn size(&self) -> usize {
        self.bytes + self.converter.size() + self.counts.capacity() * size_of::<(Box<[u8]>, i64)>()
    }

    /// Adds the values and counts of a state.
    pub(super) fn merge(&mut self, values: &ArrayRef, counts: &ArrayRef) -> Result<()> {
        let (values, counts) = (values.as_list::<i32>(), counts.as_list::<i32>());
        for row in (0..values.len()).filter(|&row| values.is_valid(row)) {
            let (values, counts) = (values.value(row), counts.value(row));
            let counts = counts.as_primitive::<Int64Type>();
            self.add(&values, |i| counts.value(i))?;
        }
        Ok(())
    }

    pub(super) fn state(&self) -> Result<Vec<ScalarValue>> {
        let (values, counts) = self.columns(self.sorted())?;
        let list = |array: ArrayRef| {
            let field = Arc::new(Field::new_list_field(array.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([array.len()]);
            ScalarValue::List(Arc::new(ListArray::new(field, offsets, array, None)))
        };
        Ok(vec![list(values), list(Arc::new(counts))])
    }

    /// The entries in the order of their values.
    pub(super) fn sorted(&self) -> Vec<(&[u8], i64)> {
        let mut all: Vec<(&[u8], i64)> = self.counts.iter().map(|(key, count)| (key.as_ref(), *count)).collect();
        all.sort_unstable();
        all
    }

    /// The values of some entries, and their counts.
    pub(super) fn columns(&self, entries: Vec<(&[u8], i64)>) -> Result<(ArrayRef, Int64Array)> {
        let parser = self.converter.parser();
        let rows = entries.iter().map(|(key, _)| parser.parse(key));
        let values = match self.converter.convert_rows(rows)?.pop() {
            Some(values) if values.data_type() == &self.value => values,
            Some(values) => arrow::compute::cast(&values, &self.value)?,
            None => return internal_err!("a row has one column"),
        };
        Ok((values, entries.iter().map(|(_, count)| *count).collect()))
    }
}

#[derive(Debug)]
struct Counting {
    tally: CountTally,
    is_mode: bool,
}

impl Accumulator for Counting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.tally.add(&values[0], |_| 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.tally.merge(&states[0], &states[1])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.tally.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut entries = self.tally.sorted();
        if self.is_mode {
            let most = entries.iter().map(|(_, count)| *count).max();
            entries.retain(|(_, count)| Some(*count) == most);
            entries.truncate(1);
            let (values, _) = self.tally.columns(entries)?;
            return match values.is_empty() {
                true => ScalarValue::try_from(&self.tally.value),
                false => ScalarValue::try_from_array(&values, 0),
            };
        }
        let (values, counts) = self.tally.columns(entries)?;
        list_of(bin(&self.tally.value), vec![values, Arc::new(counts)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.tally.size()
    }
}

/// One list of structs; null when it is empty.
pub(super) fn list_of(fields: Fields, columns: Vec<ArrayRef>) -> Result<ScalarValue> {
    let structs = StructArray::try_new(fields, columns, None)?;
    let field = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
    if structs.is_empty() {
        return ScalarValue::try_from(&DataType::List(field));
    }
    let offsets = OffsetBuffer::from_lengths([structs.len()]);
    Ok(ScalarValue::List(Arc::new(ListArray::new(field, offsets, Arc::new(structs), None))))
}
