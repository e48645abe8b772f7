//! Stores in the layout of zennit-crp.

use std::fs;

use crate::samples::{analyzed, path};
use crate::support::{glocal, model};

#[test]
fn a_store_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (data, store) = analyzed(here, 40);
    let (crp, back) = (path(here, "crp"), path(here, "back"));
    let document = glocal(&["convert", &store, "--to", "zennit-crp", &crp, "--json"]).document();
    assert_eq!((document["suffix"].as_str(), document["shortened"].as_u64()), (Some("sum_normed"), Some(0)));
    assert_eq!(document["activation"], "positive sum, raw");
    assert!(fs::exists(here.join("crp/RelMax_sum_normed/features.0_data.npy")).unwrap());
    let convert = ["convert", &back, "--from", "zennit-crp", &crp, "--model", &model(), "--data", &data];
    glocal(&convert).succeeded();
    let list = |store: &str| {
        let call = ["references", store, "--layer", "features.0", "--concept", "1", "--by", "relevance", "--json"];
        let document = glocal(&call).document();
        let entries = document["relevance"].as_array().unwrap().clone();
        entries.iter().map(|entry| (entry["sample"].clone(), entry["peak"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(list(&store), list(&back));
    // Views are drawn from it as from any store.
    let picture = path(here, "views.png");
    let draw = ["references", &back, "--layer", "features.0", "--concept", "1", "--view", "crop", "-o", &picture];
    glocal(&draw).succeeded();
    glocal(&["convert", &store, "--to", "zennit-crp", &crp]).was_wrong(&["is not empty"]);
    glocal(&convert).succeeded();
}

#[test]
fn what_cannot_be_converted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (data, store) = analyzed(here, 12);
    let crp = path(here, "crp");
    glocal(&["convert", &store, "--to", "pickle", &crp]).was_wrong(&["\"pickle\"", "expected zennit-crp"]);
    glocal(&["convert", &data, "--to", "zennit-crp", &crp]).was_wrong(&["noise.safetensors"]);
    let back = path(here, "back");
    let from = ["convert", &back, "--from", "zennit-crp", &crp, "--model", &model(), "--data", &data];
    glocal(&from).was_wrong(&["crp", "cannot be read"]);
    fs::create_dir(&crp).unwrap();
    glocal(&from).was_wrong(&["no results of zennit-crp"]);
    fs::remove_dir(&crp).unwrap();
    glocal(&["convert", &store, "--to", "zennit-crp", &crp]).succeeded();
    fs::write(here.join("crp/ActMax_sum_normed/features.4_rel.npy"), "short").unwrap();
    glocal(&from).was_wrong(&["features.4_rel.npy"]);
    assert!(!fs::exists(&back).unwrap());
}
