//! `to_char` with PostgreSQL's templates. A template with a `%` is one of `strftime`, as in DataFusion.

mod number;
mod time;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::function::run;

pub(super) fn to_char() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(ToChar {
        of: datetime::to_char(),
        signature,
        aliases: vec!["date_format".to_owned()],
    }))
}

#[derive(Debug)]
struct ToChar {
    /// The function for templates with a `%`.
    of: Arc<ScalarUDF>,
    signature: Signature,
    aliases: Vec<String>,
}

/// All instances are equal.
impl PartialEq for ToChar {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for ToChar {}

impl Hash for ToChar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, _] = types else { return plan_err!("`to_char` takes a value and a template") };
        let value = match value {
            DataType::Null | DataType::Utf8 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Float16 | DataType::Float32 => DataType::Float64,
            known if known.is_temporal() || known.is_numeric() => known.clone(),
            other => return plan_err!("`to_char` takes a time or a number, not `{other}`"),
        };
        Ok(vec![value, DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(ColumnarValue::Scalar(template)) = arguments.args.get(1)
            && template.try_as_str().flatten().is_some_and(|template| template.contains('%'))
        {
            return self.of.invoke_with_args(arguments);
        }
        run(|arguments, _| text(&arguments[0], arguments[1].as_string::<i32>()), &arguments)
    }
}

fn text(values: &ArrayRef, templates: &StringArray) -> Result<ArrayRef> {
    let mut rows = Rows { templates, last: None };
    let texts: StringArray = match values.data_type() {
        number if number.is_integer() || matches!(number, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            let digits = cast(values, &DataType::Utf8)?;
            let digits = digits.as_string::<i32>();
            rows.each(digits.len(), number::Template::parse, |template, row| {
                Ok((!digits.is_null(row)).then(|| template.exact(digits.value(row))))
            })?
        }
        DataType::Float64 => {
            let numbers = values.as_primitive::<Float64Type>();
            rows.each(numbers.len(), number::Template::parse, |template, row| {
                Ok((!numbers.is_null(row)).then(|| template.float(numbers.value(row))))
            })?
        }
        _ => {
            let mut times = time::Times::new(values)?;
            rows.each(values.len(), time::Template::parse, |template, row| times.text(template, row))?
        }
    };
    Ok(Arc::new(texts))
}

/// Templates by row. The last one is kept parsed: usually all rows have the same.
struct Rows<'a> {
    templates: &'a StringArray,
    last: Option<String>,
}

impl Rows<'_> {
    fn each<T>(
        &mut self,
        rows: usize,
        parse: impl Fn(&str) -> Result<T>,
        mut text: impl FnMut(&T, usize) -> Result<Option<String>>,
    ) -> Result<StringArray> {
        let mut parsed = None;
        let mut texts = Vec::with_capacity(rows);
        for row in 0..rows {
            if self.templates.is_null(row) {
                texts.push(None);
                continue;
            }
            let template = self.templates.value(row);
            if template.contains('%') {
                return exec_err!("a template of `to_char` that holds a `%` has to be a constant");
            }
            if self.last.as_deref() != Some(template) {
                parsed = Some(parse(template)?);
                self.last = Some(template.to_owned());
            }
            match &parsed {
                Some(template) => texts.push(text(template, row)?),
                None => texts.push(None),
            }
        }
        Ok(texts.into())
    }
}
