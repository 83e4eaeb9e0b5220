//! The equation of an EinsumDense: which axes of x, kernel and y are the same.

use sconce_core::{Dims, Error, Result};

/// Where `...` stands in x and y.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    Left,
    Right,
}

/// "abc,cd->abd".
pub struct Equation {
    x: Vec<char>,
    kernel: Vec<char>,
    y: Vec<char>,
    rest: Rest,
}

/// An axis: a letter, or one of those that `...` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Letter(char),
    Rest(usize),
}

/// An equation for inputs of a shape.
pub struct Resolved {
    x: Vec<Axis>,
    letters: Vec<Axis>,
    y: Vec<Axis>,
    /// The shape of the kernel.
    pub kernel: Vec<usize>,
    /// The shape of the bias, if there is one.
    pub bias: Option<Vec<usize>>,
    /// The shape of y.
    pub output: Dims,
}

/// The axes of a product of matrices.
pub struct Plan {
    /// Axes of x that neither kernel nor y has.
    pub summed: Vec<usize>,
    /// Axes that x, kernel and y have.
    pub x_shared: Vec<usize>,
    /// Axes of x that y has.
    pub x_rows: Vec<usize>,
    /// Axes of x that the kernel has.
    pub x_inner: Vec<usize>,
    /// As `x_shared`, of the kernel.
    pub kernel_shared: Vec<usize>,
    /// As `x_inner`, of the kernel.
    pub kernel_inner: Vec<usize>,
    /// Axes of the kernel that y has.
    pub kernel_columns: Vec<usize>,
    /// The axes of the result (shared, rows, columns) in the order of y.
    pub to_output: Vec<usize>,
}

impl Equation {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self> {
        let form = || {
            let message = format!(
                "must be of the form \"ab,bc->ac\", \"...b,bc->...c\" or \"ab...,bc->ac...\", found \"{text}\""
            );
            Error::config("equation", message)
        };
        let (inputs, y) = text.split_once("->").ok_or_else(form)?;
        let (x, kernel) = inputs.split_once(',').ok_or_else(form)?;
        let stripped = |word: &'_ str| -> (Rest, String) {
            match (word.strip_prefix("..."), word.strip_suffix("...")) {
                (Some(rest), _) => (Rest::Left, rest.to_string()),
                (_, Some(rest)) => (Rest::Right, rest.to_string()),
                _ => (Rest::None, word.to_string()),
            }
        };
        let ((rest, x), (y_rest, y)) = (stripped(x), stripped(y));
        let words = [x.as_str(), kernel, y.as_str()];
        let letters =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
        if rest != y_rest || !words.iter().all(|word| letters(word)) {
            return Err(form());
        }
        for word in words {
            if word.chars().any(|letter| word.matches(letter).count() > 1) {
                let message = format!("names an axis twice in `{word}`");
                return Err(Error::config("equation", message));
            }
        }
        let [x, kernel, y] = words.map(|word| word.chars().collect::<Vec<char>>());
        if let Some(letter) = y.iter().find(|c| !x.contains(c) && !kernel.contains(c)) {
            let message =
                format!("`{letter}` of the output is in neither the input nor the kernel");
            return Err(Error::config("equation", message));
        }
        if let Some(letter) = kernel.iter().find(|c| !x.contains(c) && !y.contains(c)) {
            let message =
                format!("`{letter}` of the kernel is in neither the input nor the output");
            return Err(Error::config("equation", message));
        }
        Ok(Self { x, kernel, y, rest })
    }

    /// The axes of a word with those that `...` stands for.
    fn axes(&self, word: &[char], rest: usize) -> Vec<Axis> {
        let letters = word.iter().copied().map(Axis::Letter);
        let rest = (0..rest).map(Axis::Rest);
        match self.rest {
            Rest::Right => letters.chain(rest).collect(),
            _ => rest.chain(letters).collect(),
        }
    }

    /// For inputs of a shape. `output_shape` is that of the layer's configuration.
    pub fn resolve(
        &self,
        dims: &Dims,
        output_shape: &[Option<usize>],
        bias_axes: Option<&str>,
    ) -> Result<Resolved> {
        let layer = |message: String| Error::layer("", message);
        let rest = dims.rank().checked_sub(self.x.len());
        let Some(rest) = rest.filter(|rest| *rest == 0 || self.rest != Rest::None) else {
            let message = format!("takes inputs of {} axes, got {dims}", self.x.len());
            return Err(layer(format!("EinsumDense {message}")));
        };
        let (x, y) = (self.axes(&self.x, rest), self.axes(&self.y, rest));
        // The lengths of y as they are stated: those that `...` stands for come from x.
        let batch = dims.0.first().copied().flatten();
        let elided = |from: usize, to: usize| dims.0.get(from..to).unwrap_or_default().to_vec();
        let mut stated = vec![batch];
        if self.rest == Rest::Left && rest > 0 {
            stated.extend(elided(1, rest));
        }
        stated.extend(output_shape);
        if self.rest == Rest::Right {
            stated.extend(elided(dims.rank() - rest, dims.rank()));
        }
        if stated.len() != y.len() {
            let message = format!(
                "the equation names {} axes of the output, output_shape {output_shape:?} and the batch axis \
                 make {}",
                y.len(),
                stated.len()
            );
            return Err(layer(message));
        }
        let of_x = |axis: &Axis| {
            x.iter().position(|a| a == axis).map(|i| dims.0.get(i).copied().flatten())
        };
        let of_y = |axis: &Axis| {
            y.iter().position(|a| a == axis).and_then(|i| stated.get(i).copied().flatten())
        };
        for axis in &y {
            if let (Some(Some(x)), Some(y)) = (of_x(axis), of_y(axis))
                && x != y
            {
                let name = name(axis);
                return Err(layer(format!(
                    "{name} is {x} in inputs of shape {dims}, {y} in output_shape"
                )));
            }
        }
        let known = |axis: &Axis| {
            of_y(axis).or(of_x(axis).flatten()).ok_or_else(|| {
                layer(format!(
                    "the length of {} must be known, the input shape is {dims}",
                    name(axis)
                ))
            })
        };
        let letters: Vec<Axis> = self.kernel.iter().copied().map(Axis::Letter).collect();
        let kernel = letters.iter().map(known).collect::<Result<Vec<_>>>()?;
        let bias = bias_axes.map(|axes| self.bias(axes, rest, &known)).transpose()?;
        let output = y.iter().map(|axis| of_x(axis).flatten().or(of_y(axis))).collect();
        Ok(Resolved { x, letters, y, kernel, bias, output: Dims(output) })
    }

    /// The shape of the bias: from the first axis that has one on, 1 where there is none.
    fn bias(
        &self,
        axes: &str,
        rest: usize,
        known: &dyn Fn(&Axis) -> Result<usize>,
    ) -> Result<Vec<usize>> {
        if let Some(letter) = axes.chars().find(|letter| !self.y.contains(letter)) {
            let message = format!("`{letter}` of bias_axes is no axis of the output");
            return Err(Error::layer("", message));
        }
        let from = self.y.iter().skip_while(|letter| !axes.contains(**letter));
        let length = |letter: &char| match axes.contains(*letter) {
            true => known(&Axis::Letter(*letter)),
            false => Ok(1),
        };
        let mut dims = from.map(length).collect::<Result<Vec<_>>>()?;
        if self.rest == Rest::Right {
            dims.extend(std::iter::repeat_n(1, rest));
        }
        Ok(dims)
    }
}

fn name(axis: &Axis) -> String {
    match axis {
        Axis::Letter(letter) => format!("`{letter}`"),
        Axis::Rest(index) => format!("axis {index} of `...`"),
    }
}

impl Resolved {
    /// The axes of the kernel that count as inputs and as outputs, for initializers.
    pub fn kernel_fans(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.letters.len())
            .partition(|i| self.letters.get(*i).is_some_and(|axis| !self.y.contains(axis)))
    }

    /// How the product is computed.
    pub fn plan(&self) -> Plan {
        let at = |axes: &[Axis], axis: &Axis| axes.iter().position(|a| a == axis);
        let choose = |axes: &[Axis], test: &dyn Fn(&Axis) -> bool| -> Vec<usize> {
            axes.iter().enumerate().filter(|(_, axis)| test(axis)).map(|(i, _)| i).collect()
        };
        let (x, kernel, y) = (&self.x, &self.letters, &self.y);
        let has = |axes: &[Axis], axis: &Axis| at(axes, axis).is_some();
        let x_shared = choose(x, &|a| has(kernel, a) && has(y, a));
        let x_rows = choose(x, &|a| !has(kernel, a) && has(y, a));
        let x_inner = choose(x, &|a| has(kernel, a) && !has(y, a));
        let kernel_columns = choose(kernel, &|a| !has(x, a));
        let in_kernel = |of_x: &[usize]| -> Vec<usize> {
            of_x.iter().filter_map(|i| at(kernel, x.get(*i)?)).collect()
        };
        let of_x = x_shared.iter().chain(&x_rows).filter_map(|i| x.get(*i));
        let of_kernel = kernel_columns.iter().filter_map(|i| kernel.get(*i));
        let result: Vec<Axis> = of_x.chain(of_kernel).copied().collect();
        Plan {
            summed: choose(x, &|a| !has(kernel, a) && !has(y, a)),
            kernel_shared: in_kernel(&x_shared),
            kernel_inner: in_kernel(&x_inner),
            to_output: y.iter().filter_map(|axis| at(&result, axis)).collect(),
            x_shared,
            x_rows,
            x_inner,
            kernel_columns,
        }
    }
}
