//! What the demo needs, inside the program: a small model, 2,000 images with labels, and the words for them.

/// The name of the images' file.
pub const IMAGES: &str = "images-idx3-ubyte.gz";

/// The name of the model's file.
pub const MODEL: &str = "model.onnx";

/// The name of the preprocessing's file.
pub const PREPROCESS: &str = "preprocess.toml";

/// The name of the class names' file.
pub const CLASSES: &str = "classes.txt";

/// All files, by name.
pub const FILES: [(&str, &[u8]); 6] = [
    (MODEL, include_bytes!("../../../assets/demo/model.onnx")),
    (IMAGES, include_bytes!("../../../assets/demo/images-idx3-ubyte.gz")),
    ("labels-idx1-ubyte.gz", include_bytes!("../../../assets/demo/labels-idx1-ubyte.gz")),
    (PREPROCESS, include_bytes!("../../../assets/demo/preprocess.toml")),
    (CLASSES, include_bytes!("../../../assets/demo/classes.txt")),
    ("LICENSE-fashion-mnist", include_bytes!("../../../assets/demo/LICENSE-fashion-mnist")),
];
