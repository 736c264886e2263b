"""The stages of a study, one file each: artifacts in, one artifact out."""
