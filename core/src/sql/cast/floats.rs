//! Casts to floats: a value beyond the type is an error, not infinity.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, exec_err};

use super::{is_text, plainly};
use crate::texts::{self, Float};

pub(super) fn casted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (is_text(array.data_type()), to) {
        (true, DataType::Float32) => read::<Float32Type>(array, "real"),
        (true, _) => read::<Float64Type>(array, "double precision"),
        (false, _) => narrowed(array, to),
    }
}

fn read<T: ArrowPrimitiveType<Native: Float>>(array: &ArrayRef, name: &str) -> Result<ArrayRef> {
    let texts = plainly(array, &DataType::Utf8)?;
    let value = |text: &str| match texts::float::<T::Native>(text) {
        Some(value) => Ok(value),
        None if T::Native::parse(text.trim_ascii()).is_some() => {
            exec_err!("\"{text}\" is out of range for type {name}")
        }
        None => exec_err!("invalid input syntax for type {name}: \"{text}\""),
    };
    let values = texts.as_string::<i32>().iter().map(|text| text.map(value).transpose());
    Ok(Arc::new(values.collect::<Result<PrimitiveArray<T>>>()?))
}

fn narrowed(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let wide = plainly(array, &DataType::Float64)?;
    let narrow = plainly(&wide, to)?;
    let back = plainly(&narrow, &DataType::Float64)?;
    let pairs = wide.as_primitive::<Float64Type>().iter().zip(back.as_primitive::<Float64Type>());
    for (wide, back) in pairs.filter_map(|(wide, back)| wide.zip(back)) {
        if back.is_infinite() && !wide.is_infinite() {
            return exec_err!("value out of range: overflow: {wide:e} is beyond {to}");
        }
    }
    Ok(narrow)
}
